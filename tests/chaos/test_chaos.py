"""The plan and the account of tests/chaos, without a fleet."""

import pytest

import explain
import plan


@pytest.mark.parametrize("seconds", [40, 48, 120, 600])
def test_the_same_seed_makes_the_same_plan(seconds):
    assert plan.make_plan(7, seconds) == plan.make_plan(7, seconds)
    assert plan.make_plan(7, seconds) != plan.make_plan(8, seconds)


@pytest.mark.parametrize("seed", range(50))
def test_every_kind_of_step_occurs_in_time_and_in_order(seed):
    for seconds in (plan.SHORTEST_SECONDS, 300):
        steps = plan.make_plan(seed, seconds)
        assert {step.kind for step in steps} == {kind.name for kind in plan.KINDS}
        assert [step.at for step in steps] == sorted(step.at for step in steps)
        assert plan.MARGIN_SECONDS <= steps[0].at and steps[-1].at <= seconds - plan.MARGIN_SECONDS
        for step in steps:
            kind = plan.kind_of(step)
            assert kind.low <= step.seconds <= kind.high and step.size in plan.POOL_SIZES


@pytest.mark.parametrize("seed", range(50))
def test_steps_of_one_group_do_not_overlap(seed):
    steps = plan.make_plan(seed, 300)
    for group in ("spillwayd", "redis", "kafka"):
        of_group = [step for step in steps if plan.kind_of(step).group == group]
        for before, after in zip(of_group, of_group[1:]):
            assert before.at + before.seconds + plan.kind_of(before).settle <= after.at + 0.05


def test_a_plan_that_is_too_short_is_refused():
    with pytest.raises(ValueError):
        plan.make_plan(1, 30)


def test_a_step_reads_as_a_sentence():
    assert str(plan.Step(3.2, "kill ingest", pick=1)) == "   3.2 s  kill ingest worker 1"
    assert str(plan.Step(41.0, "stop redis", 2.5)) == "  41.0 s  stop redis for 2.5 s"
    assert str(plan.Step(5.0, "resize flush", size=3)) == "   5.0 s  resize flush to 3"


PLACES = {"a": [(0, 10)], "b": [(0, 11)], "c": [(1, 10)]}


def test_spans_that_never_left_are_lost():
    result = explain.account(PLACES, [("f", ["a", "x"])], [])
    assert result.lost == [("b", [(0, 11)]), ("c", [(1, 10)])]
    assert result.unknown == 1 and result.copies == 0


def test_spans_leave_in_the_order_of_the_input_counting_any_of_their_copies():
    places = {"a": [(0, 10)], "b": [(0, 11), (0, 13)], "c": [(0, 12)], "d": [(1, 20)]}
    messages = [("f", ["a", "b", "c"]), ("g", ["a", "c", "b"]), ("h", ["c", "a"]), ("i", ["a", "d"]), ("j", ["x"])]
    assert explain.account(places, messages, []).disordered == ["h", "i"]


def test_spans_that_share_a_name_all_leave():
    assert explain.account(PLACES, [("f", ["a", "b", "a", "c"])], [], {"a": 2}).copies == 0
    assert explain.account(PLACES, [("f", ["a", "b", "c"])], [], {"a": 2}).lost == [("a", [(0, 10)])]


def test_a_copy_is_explained_by_a_loss_that_made_it_be_read_again_and_but_once():
    loss = explain.Loss(at=1.0, ranges={0: (11, 20), 1: (11, 20)})
    messages = [("f", ["a", "b"]), ("g", ["c"]), ("h", ["b"]), ("i", ["b"]), ("g", ["c"])]
    result = explain.account(PLACES, messages, [loss])
    assert (result.copies, result.by_loss, result.repeated_spans) == (3, 1, 2)
    assert result.repeated_messages == ["i", "g"]
    assert explain.account(PLACES, messages, [loss, loss]).repeated_messages == ["g"]
    assert loss.offsets == 18


def test_a_loss_makes_all_spans_of_a_name_be_read_again():
    loss = explain.Loss(at=1.0, ranges={0: (10, 20)})
    places = {"a": [(0, 10), (0, 12), (0, 13)]}
    result = explain.account(places, [("f", ["a", "a"]), ("g", ["a", "a"])], [loss], {"a": 2})
    assert (result.copies, result.by_loss) == (2, 2)
    assert explain.times_lost([(0, 9), (0, 12)], [loss], 2) == 1


def test_a_counter_that_begins_again_goes_on_growing():
    increase = explain.Increase()
    for values in ({"a": 2}, {"a": 5, "b": 1}, {"a": 1}, {}, {"a": 4}):
        increase.observe(values)
    assert increase.total == 5 + 1 + 4
