"""Measured parts and a budget -> the combination that keeps it and reads best."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgemood.benchmarks.budget import (
    Classifier,
    Cost,
    Parts,
    Plan,
    Target,
    choose,
    frames_between,
    line,
    part_side,
    plans,
    reason,
    timed_sides,
)
from edgemood.runtime.faces import SIDES
from edgemood.runtime.following import Follower
from edgemood.values import Face


def ms(wall: float, cpu: float | None = None) -> Cost:
    return Cost(wall / 1000, (wall if cpu is None else cpu) / 1000)


def on(threads: int, time: float) -> Cost:
    """What takes so many milliseconds in one thread; each of two takes 0.6 of it."""
    return ms(time) if threads == 1 else ms(time * 0.6, time * 1.2)


def some_parts(slowness: float = 1.0, size: tuple[int, int] = (640, 480)) -> Parts:
    """Of a machine on which a look at 320 pixels takes 10 ms, times its slowness."""
    looks = {
        (threads, side): on(threads, slowness * 10 * (side / 320) ** 2)
        for side in timed_sides(size)
        for threads in (1, 2)
    }
    models = [
        Classifier(Path(name), "onnxruntime", threads, accuracy, on(threads, slowness * cost))
        for name, accuracy, cost in (
            ("large.onnx", 0.700, 8.0),
            ("large.int8.onnx", 0.698, 3.0),
            ("tiny.int8.onnx", 0.640, 0.5),
        )
        for threads in (1, 2)
    ]
    return Parts(25.0, size, 1.0, ms(slowness * 2), ms(slowness), looks, 16, models)


def best(parts: Parts, target: Target) -> Plan | None:
    kept = [plan for plan in line(plans(parts, target.rate), target) if target.use(plan.cost) <= 1]
    return kept[0] if kept else None


def at_least(fps: float) -> Target:
    return Target(fps, None, fps)


def test_with_time_to_spare_it_is_what_sees_most_at_the_least_cpu_time() -> None:
    plan = best(some_parts(), at_least(5))
    assert plan is not None
    # The larger file says 0.2 points more of itself, which is nothing, for nearly three times the
    # time; and two threads take more CPU time than one.
    assert (plan.model.path.name, plan.model.threads) == ("large.int8.onnx", 1)
    assert (plan.sides, plan.every) == (SIDES, "auto")


def test_as_time_gets_short_looks_get_rarer_then_coarser_and_accuracy_goes_last() -> None:
    found = [best(some_parts(slowness), at_least(15)) for slowness in range(1, 17)]
    found = [plan for plan in found if plan is not None]
    assert len(found) >= 12
    accuracies = [plan.model.accuracy for plan in found]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > accuracies[-1]
    for one, other in pairwise(found):
        if one.model.accuracy == other.model.accuracy:
            assert one.face <= other.face
            if one.face == other.face:
                assert one.notice <= other.notice


def test_a_second_thread_is_taken_where_one_is_too_slow() -> None:
    parts = some_parts(7)
    alone = replace(parts, models=[one for one in parts.models if one.threads == 1])
    with_one, with_two = best(alone, at_least(15)), best(parts, at_least(15))
    assert with_one is not None
    assert with_two is not None
    assert with_two.model.threads == 2
    assert with_two.every == "auto"
    assert with_one.every != "auto"


def test_a_share_of_a_core_counts_the_time_of_all_threads_at_the_rate_of_frames() -> None:
    share = Target(None, 0.2, 25)
    assert share.use(ms(1, 8)) == pytest.approx(1)
    assert share.use(ms(1000, 4)) == pytest.approx(0.5)
    assert at_least(25).use(ms(40, 1000)) == pytest.approx(1)
    assert Target(25, 0.2, 25).use(ms(20, 16)) == pytest.approx(2)
    plan = best(some_parts(), share)
    assert plan is not None
    assert plan.model.threads == 1
    assert plan.cost.cpu * 25 <= 0.2


def test_what_is_found_but_too_small_to_read_is_no_gain() -> None:
    # In a frame of 320 pixels, both find faces that are narrower than 20.
    plan = best(some_parts(size=(320, 240)), at_least(5))
    assert plan is not None
    assert plan.face <= 20
    wide = best(some_parts(size=(1280, 720)), at_least(5))
    assert wide is not None
    assert (wide.sides, wide.face) == (SIDES, 32)


def test_on_the_line_less_quality_always_means_less_cost() -> None:
    target = Target(15, 0.5, 15)
    ordered = plans(some_parts(), 15)
    kept = line(ordered, target)
    uses = [target.use(plan.cost) for plan in kept]
    assert uses == sorted(uses, reverse=True)
    assert kept[0] == ordered[0]
    assert min(target.use(plan.cost) for plan in ordered) == uses[-1]


def test_no_face_waits_longer_than_a_second_to_be_noticed() -> None:
    for rate in (1, 5, 15, 30):
        assert max(plan.notice for plan in plans(some_parts(), rate)) <= 1


def test_more_faces_cost_more_classifying_and_nothing_else() -> None:
    one, four = (plans(replace(some_parts(), faces=faces), 15)[0].work for faces in (1.0, 4.0))
    assert four["classifying"].cpu == pytest.approx(4 * one["classifying"].cpu)
    assert {name for name in one if one[name] != four[name]} == {"classifying"}


@pytest.mark.parametrize("rate", [2, 5, 10, 15, 25, 30, 60])
def test_looks_are_as_far_apart_as_the_runtimes(rate: int) -> None:
    looked: list[int] = []
    now = 0

    def detect(image: np.ndarray, region: object = None, **how: object) -> list[Face]:
        if region is None:
            looked.append(now)
        return []

    follow = Follower(detect, SIDES, "auto")
    frame = np.zeros((480, 640, 3), np.uint8)
    for now in range(200):
        follow(frame, now / rate)
    assert {b - a for a, b in pairwise(looked)} == {frames_between("auto", rate)}


def test_what_keeps_the_target_as_reckoned_is_run_and_the_next_taken_where_it_misses() -> None:
    target = at_least(15)
    kept = line(plans(some_parts(9), 15), target)
    at = next(i for i, plan in enumerate(kept) if target.use(plan.cost) <= 1)
    assert at > 0
    tried: list[Plan] = []

    def run(plan: Plan) -> Cost:
        tried.append(plan)
        return ms(90) if len(tried) == 1 else ms(50)

    choice = choose(kept, target, run)
    assert tried == kept[at : at + 2]
    assert (choice.plan, choice.cost, choice.keeps) == (kept[at + 1], ms(50), True)
    assert choice.missed == [(kept[at], ms(90))]
    assert choice.above == (kept[at], ms(90))


def test_where_all_miss_the_nearest_is_told() -> None:
    target = at_least(15)
    kept = line(plans(some_parts(9), 15), target)
    choice = choose(kept, target, lambda plan: ms(90))
    assert (choice.plan, choice.keeps) == (kept[-1], False)
    out_of_reach = choose(kept, at_least(10_000), lambda plan: ms(0))
    assert (out_of_reach.plan, out_of_reach.keeps) == (kept[-1], False)
    assert out_of_reach.missed == []


def test_the_reason_names_what_the_next_better_one_would_cost() -> None:
    target = at_least(15)
    kept = line(plans(some_parts(9), 15), target)
    choice = choose(kept, target, lambda plan: plan.cost)
    assert choice.above is not None
    why = reason(choice, target)
    assert why.startswith("It is the best within the budget (at least 15 FPS), of which ")
    assert target.figures(choice.above[1]) in why
    best_of_all = choose(kept, at_least(1), lambda plan: plan.cost)
    assert reason(best_of_all, at_least(1)).startswith("No combination here reads better")


def test_a_look_is_timed_at_the_side_that_the_detector_takes() -> None:
    assert timed_sides((1280, 720)) == {160, 320, 640, part_side(320), part_side(640)}
    assert timed_sides((480, 360)) == {160, 320, 480, part_side(320), part_side(480)}
    # A small frame is enlarged for a first look, and not for a closer one.
    assert timed_sides((240, 180)) == {160, 320, 240, part_side(240)}
