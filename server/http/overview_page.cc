#include "server/http/overview_page.h"

namespace spillway::http {

const char kOverviewPage[] = R"page(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Spillway</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; }
  table { border-collapse: collapse; margin-bottom: 1.5rem; }
  caption { text-align: left; font-weight: 600; padding: .3rem 0; }
  th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884; }
  #state { color: #b00; min-height: 1.4em; }
</style>
<h1>Spillway</h1>
<p id="state" role="status"></p>
<table id="pools"></table>
<table id="workers"></table>
<table id="shards"></table>
<p><a href="/metrics">metrics</a> · <a href="/readyz?verbose">readiness</a></p>
<script>
const short = text => (text || '').replace(/^[A-Z]+(_[A-Z]+)*?_STATE_|^CAUSE_|^ROLE_/, '').toLowerCase();
const health = h => h ? short(h.state) + (h.evidence ? ': ' + h.evidence : '') : '';
const seconds = text => text ? parseFloat(text).toFixed(1) + ' s' : '';
const known = (shard, value) => shard.isKnown ? value : '?';
const columns = {
  pools: [['name', p => p.name], ['role', p => short(p.role)], ['state', p => short(p.state)],
          ['desired', p => p.desired], ['ready', p => p.ready], ['health', p => health(p.health)]],
  workers: [['name', w => w.name], ['state', w => short(w.state)], ['health', w => health(w.health)],
            ['pid', w => w.pid], ['generation', w => w.generation], ['restarts', w => w.restarts],
            ['shards', w => (w.shards || []).join(' ')], ['last death', w => w.lastDeath]],
  shards: [['name', s => s.name], ['backlog', s => known(s, s.backlog)],
           ['in flight', s => known(s, s.inFlight)], ['lateness', s => known(s, seconds(s.lateness))],
           ['gate', s => s.gate ? short(s.gate.state) : '?'],
           ['cause', s => s.gate && s.gate.cause !== 'CAUSE_UNSPECIFIED' ? short(s.gate.cause) : ''],
           ['input lag', s => s.inputLag === '-1' ? '?' : s.inputLag],
           ['ingest', s => s.ingestWorker], ['flush', s => s.flushWorker]],
};
function fill(kind, items) {
  const table = document.getElementById(kind);
  table.replaceChildren();
  table.createCaption().textContent = kind;
  const head = table.createTHead().insertRow();
  for (const [title] of columns[kind]) head.append(Object.assign(document.createElement('th'), {textContent: title}));
  const body = table.createTBody();
  for (const item of items) {
    const row = body.insertRow();
    for (const [, value] of columns[kind]) row.insertCell().textContent = value(item) ?? '';
  }
}
async function refresh() {
  const state = document.getElementById('state');
  try {
    for (const kind of Object.keys(columns)) {
      const answer = await fetch('/api/v1/' + kind);
      fill(kind, (await answer.json())[kind] || []);
    }
    state.textContent = '';
  } catch (error) {
    state.textContent = 'The server does not answer; this is what it said last.';
  }
  setTimeout(refresh, 2000);
}
refresh();
</script>
)page";

}  // namespace spillway::http
