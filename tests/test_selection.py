"""The choice that evidence leads to, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from biostyle.evidence import LARGEST_FRACTION, SMALLEST_FRACTION, Evidence, LabelFreeScore
from biostyle.metrics.edge_support import NEAR_PX, SIGMA_PX
from biostyle.selection import (
    AS_STEEP,
    AS_SURE,
    AT_HOME,
    CONCORD,
    CONCORD_OF_STRANGE,
    IDENTITY,
    KEPT,
    LEARNED_MARGIN,
    LEAST_TRUSTED,
    MARGIN,
    NO_SUPPORT,
    RULE,
    SAME_SIZE,
    STEEP_ENOUGH_TO_ASK,
    SURE,
    TRUSTED,
    UNSURE,
    Choice,
    best_candidate,
    best_teacher,
    choose,
)
from tests.evidence_by_hand import found, spots

HOME = found(0.98)


@pytest.mark.parametrize(("n_frames", "expected"), [(1, "simple"), (3, "simple"), (75, "elaborate")])
def test_many_frames_tell_apart_what_few_do_not(n_frames: int, expected: str) -> None:
    masks = spots(10) * n_frames
    evidence = {"simple": found(0.9, masks=masks), "elaborate": found(0.903, masks=masks)}
    assert best_candidate(evidence) == expected


def test_a_tie_is_a_matter_of_the_margin() -> None:
    for difference, expected in ((0.9 * MARGIN, 1), (1.1 * MARGIN, 2)):
        scores = {1: 0.9, 2: 0.9 + difference, 3: 0.0}
        assert best_candidate({key: found(value) for key, value in scores.items()}) == expected
    with pytest.raises(ValueError, match="empty"):
        best_candidate({})


@pytest.mark.parametrize(
    ("supports", "expected"),
    [
        ((1.2, 1.1, 1.4, 3.0), "surest"),
        ((1.2, 1.3, 1.4, 3.0), "as sure"),
        ((1.4, 1.2, 1.2, 3.0), "less sure"),
        ((0.9, 0.5, 0.6, 3.0), "less sure"),
        ((math.nan,) * 4, "as sure"),
    ],
    ids=["surest", "as steep", "steeper than surer ones", "below 1", "nobody looked"],
)
def test_of_those_on_about_the_steepest_edges_the_surest_is_best(
    supports: tuple[float, ...], expected: str
) -> None:
    """Who is much less sure does not count, however steep its edges are."""
    assert (AS_STEEP, AS_SURE) == (0.9, 0.05)
    scores = {"less sure": 0.9 - 0.9 * AS_SURE, "as sure": 0.9 - 0.9 * MARGIN, "surest": 0.9}
    scores["unsure"] = 0.9 - 1.1 * AS_SURE
    evidence = {
        name: found(score, edges=support)
        for (name, score), support in zip(scores.items(), supports, strict=True)
    }
    assert best_candidate(evidence) == expected


@pytest.mark.parametrize(
    ("score", "edges", "expected"),
    [(0.9, 1.5, "steep"), (0.9 - 1.1 * AS_SURE, 1.5, "surest"), (0.9, 2.0, "surest"), (0.99, 1.5, "surest")],
    ids=["as sure", "unsure", "nobody left for steepness", "nobody left for sureness"],
)
def test_who_stands_beside_cannot_win_but_its_edges_count(score: float, edges: float, expected: str) -> None:
    evidence = {"surest": found(0.9, edges=1.3), "steep": found(0.88, edges=1.4)}
    assert best_candidate(evidence, [found(score, edges=edges)]) == expected


def test_a_clear_winner_is_adopted_and_the_reason_holds_the_numbers() -> None:
    choice = choose({IDENTITY: found(0.6), "matching": found(0.98, 0.93), "other": found(0.8)}, HOME)
    assert (choice.chosen, choice.verdict) == ("matching", "adopt")
    assert "rises from 0.600 to 0.955 with matching" in choice.reason
    assert "confidence 0.980, agreement under rotation 0.930" in choice.reason
    assert choice.candidates["matching"] == {
        "confidence": 0.98, "agreement": 0.93, "foreground_fraction": 0.1, "edge_support": 1.0,
        "label_free": pytest.approx(0.955),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gain", "chosen"), [(-0.1, IDENTITY), (0.9 * MARGIN, IDENTITY), (3 * MARGIN, "matching")]
)
def test_the_unchanged_frames_win_ties(gain: float, chosen: str) -> None:
    choice = choose({IDENTITY: found(0.95), "matching": found(0.95 + gain)}, HOME)
    assert choice.chosen == chosen
    assert (choice.verdict == "don't adapt") == (chosen == IDENTITY)
    if chosen == IDENTITY:
        assert (
            "is better than the unchanged frames: by its label-free score (0.950 as they are)"
            in choice.reason
        )


def test_of_two_that_are_equally_sure_the_one_that_finds_one_object_is_adopted() -> None:
    """Without the third part there would be nothing to gain; the home score has it as well."""
    mask = spots(10)
    several, one = (
        Evidence(LabelFreeScore(0.97, 0.97, 0.1, singleness), mask) for singleness in (0.7, 0.985)
    )
    choice = choose({IDENTITY: several, "matching": one}, Evidence(LabelFreeScore(0.97, 0.97, 0.1, 0.97), ()))
    assert choice.chosen == "matching"
    assert "rises from 0.880 to 0.975" in choice.reason
    assert "agreement under rotation 0.970, in one object 0.985)." in choice.reason
    assert choice.candidates[IDENTITY]["singleness"] == 0.7
    assert stays(choose({IDENTITY: found(0.97), "matching": found(0.97)}, found(0.97)))


def test_among_equals_the_simpler_one_is_taken() -> None:
    evidence = {IDENTITY: found(0.5), "matching": found(0.95), "elaborate": found(0.953)}
    assert choose(evidence, HOME).chosen == "matching"
    assert choose(dict(reversed(evidence.items())), HOME).chosen == "elaborate"


@pytest.mark.parametrize(
    ("before", "after"), [(0.5, SURE - 0.01), (0.96, 0.96 + 1.5 * MARGIN)], ids=["not sure", "hardly better"]
)
def test_a_weak_winner_is_adopted_with_care(before: float, after: float) -> None:
    choice = choose({IDENTITY: found(before), "matching": found(after)}, HOME)
    assert (choice.chosen, choice.verdict) == ("matching", "adopt with care")


def stays(choice: Choice) -> bool:
    return (choice.chosen, choice.verdict) == (IDENTITY, "don't adapt")


def test_nothing_is_adopted_that_the_segmenter_does_not_trust() -> None:
    """Noise: nobody is sure of anything."""
    choice = choose({IDENTITY: found(0.4), "matching": found(TRUSTED - 0.01)}, HOME)
    assert stays(choice)
    assert f"frozen segmenter, {TRUSTED - 0.01:.3f} by matching, is below {TRUSTED}" in choice.reason


@pytest.mark.parametrize(
    ("at_home", "limit"), [(0.98, TRUSTED), (0.96, TRUSTED), (0.9, 1 - 0.1 * UNSURE), (0.8, LEAST_TRUSTED)]
)
def test_who_is_unsure_at_home_need_not_be_surer_elsewhere(at_home: float, limit: float) -> None:
    home = found(at_home, fraction=0.3)
    below, above = ({IDENTITY: found(0.4), "matching": found(limit + step)} for step in (-0.001, 0.001))
    assert stays(choose(below, home))
    choice = choose(above, home)
    assert (choice.chosen, choice.verdict) == ("matching", "adopt with care")


def test_empty_frames_are_left_alone() -> None:
    """Every mask is empty, so every score is 0."""
    nothing = found(0.0, fraction=0.0, masks=spots(0))
    assert stays(choose({IDENTITY: nothing, "matching": nothing}, HOME))
    assert stays(choose({IDENTITY: nothing, "matching": nothing}, nothing))


def test_what_was_trained_on_noise_is_not_believed_either() -> None:
    """A learned candidate is sure of itself whatever it learned; the frozen segmenter is asked first."""
    evidence = {IDENTITY: found(0.4), "matching": found(0.8), "retrain": found(0.99, learned=True)}
    assert stays(choose(evidence, HOME))


def test_more_of_a_is_left_alone() -> None:
    """As sure as at home, and as much found: there is nothing to gain, whatever the others score."""
    evidence = {IDENTITY: found(HOME.score.value - 0.9 * AT_HOME), "matching": found(0.995)}
    choice = choose(evidence, HOME)
    assert stays(choice)
    assert f"unchanged frames (0.971) as of its own domain ({HOME.score.value:.3f})" in choice.reason
    evidence[IDENTITY] = found(HOME.score.value - 1.1 * AT_HOME)
    assert choose(evidence, HOME).chosen == "matching"


@pytest.mark.parametrize(("fraction", "home"), [(0.19, True), (0.21, False), (0.051, True), (0.049, False)])
def test_to_be_at_home_as_much_must_be_found(fraction: float, home: bool) -> None:
    """Sure of almost nothing, or of twice as much, is not at home."""
    evidence = {IDENTITY: found(HOME.score.value, fraction=fraction), "matching": found(0.995)}
    assert stays(choose(evidence, HOME)) == home


def test_chains_that_see_different_things_are_not_believed() -> None:
    evidence = {IDENTITY: found(0.6), "matching": found(0.97), "retrain": found(0.98, learned=True)}
    choice = choose(evidence, HOME, CONCORD - 0.01)
    assert stays(choice)
    assert f"Cohen's kappa {CONCORD - 0.01:.2f}, below {CONCORD}" in choice.reason
    assert choose(evidence, HOME, CONCORD).chosen == "retrain"


@pytest.mark.parametrize(
    ("factor", "in_concord", "adopted"),
    [
        (1.0, CONCORD, True),
        (0.9 * SAME_SIZE, CONCORD, True),
        (1.1 * SAME_SIZE, CONCORD_OF_STRANGE - 0.01, False),
        (1.1 / SAME_SIZE, CONCORD, True),
        (0.9 / SAME_SIZE, CONCORD_OF_STRANGE - 0.01, False),
        (1.1 * SAME_SIZE, CONCORD_OF_STRANGE, True),
        (math.nan, CONCORD, True),
    ],
)
def test_what_is_not_as_large_as_objects_of_a_must_be_seen_by_more_chains(
    factor: float, in_concord: float, adopted: bool
) -> None:
    home = replace(HOME, object_area=500)
    evidence = {IDENTITY: found(0.6), "matching": replace(found(0.97), object_area=500 * factor)}
    choice = choose(evidence, home, in_concord)
    assert stays(choice) != adopted
    if not adopted:
        assert f"is {factor:.2g} times as large as in its own domain" in choice.reason
    if not math.isnan(factor):
        assert choice.candidates["matching"]["relative_area"] == pytest.approx(factor)
    assert "relative_area" not in choice.candidates[IDENTITY]


def test_where_images_show_one_object_its_size_is_a_matter_of_distance() -> None:
    score = LabelFreeScore(0.97, 0.97, 0.1, 0.97)
    evidence = {
        IDENTITY: found(0.6),
        "matching": Evidence(score, spots(10), edge_support=1.2, object_area=5000),
    }
    assert choose(evidence, replace(HOME, object_area=500), CONCORD).chosen == "matching"


@pytest.mark.parametrize(("edges", "adopted"), [(0.99, False), (1.0, True), (math.nan, True)])
def test_contours_must_lie_on_edges_at_all(edges: float, adopted: bool) -> None:
    choice = choose({IDENTITY: found(0.6), "matching": found(0.97, edges=edges)}, HOME)
    assert stays(choice) != adopted
    if not adopted:
        assert (
            "contours that the segmenter draws by matching lie on edges 0.99 times as steep" in choice.reason
        )


@pytest.mark.parametrize("n_shared", range(11))
def test_a_learned_candidate_must_keep_the_objects(n_shared: int) -> None:
    """Of ten pixels it shares some with the best chain; that share is its Dice coefficient."""
    learned = found(0.99, masks=spots(10, 10 - n_shared), learned=True)
    choice = choose({IDENTITY: found(0.6), "matching": found(0.96), "retrain": learned}, HOME)
    kept = n_shared / 10
    assert choice.candidates["retrain"]["kept"] == pytest.approx(kept)
    assert "kept" not in choice.candidates["matching"]
    assert choice.chosen == ("retrain" if kept >= KEPT else "matching")
    assert (f"agreement with matching {kept:.2f}" in choice.reason) == (kept >= KEPT)


@pytest.mark.parametrize(
    ("difference", "chosen"), [(-1.1, "matching"), (-0.9, "retrain"), (0.0, "retrain"), (5.0, "retrain")]
)
def test_a_learned_candidate_may_not_score_lower_but_for_the_margin(difference: float, chosen: str) -> None:
    learned = found(0.96 + difference * LEARNED_MARGIN, learned=True)
    choice = choose({IDENTITY: found(0.6), "matching": found(0.96), "retrain": learned}, HOME)
    assert choice.chosen == chosen


@pytest.mark.parametrize("scores", [(0.97, 0.98), (0.98, 0.97)])
def test_of_learned_candidates_the_faithful_one_with_the_steepest_contours_is_chosen(
    scores: tuple[float, float],
) -> None:
    """However sure they are: both are sure enough."""
    evidence = {
        IDENTITY: found(0.6),
        "matching": found(0.95, edges=1.5),
        "cyclegan": found(scores[0], learned=True, edges=1.6),
        "cyclegan_sa": found(scores[1], learned=True, edges=1.7),
        "retrain": found(0.99, masks=spots(10, 50), learned=True, edges=1.8),
        "retrain_rare": found(0.95 - 1.1 * LEARNED_MARGIN, learned=True, edges=1.8),
    }
    choice = choose(evidence, HOME)
    assert choice.chosen == "cyclegan_sa"
    assert (
        "finds 10.0% of the pixels, on edges 1.70 times as steep as what is around, matching 10.0% on 1.50)."
        in choice.reason
    )


@pytest.mark.parametrize(("edges", "chosen"), [(1.4, "matching"), (1.5, "matching"), (1.6, "retrain")])
def test_a_learned_candidate_must_have_its_contours_on_steeper_edges(edges: float, chosen: str) -> None:
    """A mask that outgrew its objects is as sure of itself and keeps them all."""
    evidence = {
        IDENTITY: found(0.6),
        "matching": found(0.95, edges=1.5),
        "retrain": found(0.99, learned=True, edges=edges),
    }
    choice = choose(evidence, HOME)
    assert choice.chosen == chosen
    assert choice.candidates["retrain"]["edge_support"] == edges
    assert ("times as steep" in choice.reason) == (chosen == "retrain")


@pytest.mark.parametrize(
    ("fraction", "edges", "chosen"),
    [(0.034, 2.31, "retrain_rare"), (0.034, 1.9, "retrain"), (0.028, 2.2, "retrain"), (0.1, 1.0, "retrain")],
)
def test_more_that_is_found_makes_up_for_less_steep_edges(fraction: float, edges: float, chosen: str) -> None:
    """Nuclei that are missed have no contours. What counts is the support above 1, times the fraction."""
    evidence = {
        IDENTITY: found(0.6),
        "matching": found(0.95, fraction=0.022, edges=2.31),
        "retrain": found(0.97, fraction=0.025, learned=True, edges=2.37),
        "retrain_rare": found(0.96, fraction=fraction, learned=True, edges=edges),
    }
    assert choose(evidence, HOME).chosen == chosen
    assert choose(dict(reversed(evidence.items())), HOME).chosen == chosen


@pytest.mark.parametrize(
    ("learned", "teaches"),
    [
        (found(0.95, fraction=0.035, learned=True, edges=3.1), "learned"),
        (found(0.955 - LEARNED_MARGIN, fraction=0.035, learned=True, edges=3.1), "learned"),
        (found(0.945 - LEARNED_MARGIN, fraction=0.035, learned=True, edges=3.1), "chain"),  # too unsure
        (
            found(0.99, fraction=0.035, masks=spots(10, 50), learned=True, edges=3.1),
            "chain",
        ),  # sees something else
        (found(0.99, fraction=0.03, learned=True, edges=2.9), "chain"),  # on flatter edges
        (found(0.99, fraction=0.025, learned=True, edges=3.1), "chain"),  # less
    ],
)
def test_who_keeps_the_objects_and_finds_most_on_the_steepest_edges_teaches(
    learned: Evidence, teaches: str
) -> None:
    evidence = {"chain": found(0.95, fraction=0.03, edges=3.0), "learned": learned}
    assert best_teacher(evidence, "chain") == teaches
    more = found(0.95, fraction=0.04, learned=True, edges=3.1)
    assert best_teacher({**evidence, "more": more}, "chain") == "more"


def test_what_was_learned_competes_with_the_chain_it_stands_behind() -> None:
    """Though the unchanged frames are as good as the chain, and have steeper contours, and would be kept."""
    plain = {IDENTITY: found(0.958, edges=1.47), "matching": found(0.962, edges=1.34)}
    assert stays(choose(plain, HOME))
    choice = choose({**plain, "retrain": found(0.978, edges=1.37, learned=True)}, HOME)
    assert choice.chosen == "retrain"
    assert "on 1.34)" in choice.reason
    assert stays(choose({**plain, "retrain": found(0.978, edges=1.33, learned=True)}, HOME))


@pytest.mark.parametrize(
    ("fraction", "edges", "chosen"), [(0.6, 1.42, "retrain"), (0.6, 1.36, IDENTITY), (0.5, 1.42, IDENTITY)]
)
def test_so_it_does_where_edges_rule_the_chain_out(fraction: float, edges: float, chosen: str) -> None:
    """The unchanged frames have steeper contours and fewer pixels; who draws more draws on fainter edges, too."""
    plain = {
        IDENTITY: found(0.932, fraction=0.46, edges=1.6),
        "matching": found(0.953, fraction=0.58, edges=1.38),
    }
    assert stays(choose(plain, HOME))
    learned = found(0.983, fraction=fraction, edges=edges, learned=True)
    choice = choose({**plain, "retrain": learned}, HOME)
    assert choice.chosen == chosen
    compared = (
        "(matching: 58.0% of the pixels, 1.38 times as steep as what is around)"
        if stays(choice)
        else f"agreement with {IDENTITY} 1.00; it finds 60.0% of the pixels, on edges 1.42 times as steep as what is around, "
        "matching 58.0% on 1.38)"
    )
    assert compared in choice.reason


def test_what_edges_rule_out_is_no_lower_bar_where_it_scores_less() -> None:
    """An inverted chain whose score is no better: what was learned from it competes with the unchanged frames."""
    plain = {
        IDENTITY: found(0.967, fraction=0.54, edges=1.49),
        "matching": found(0.963, fraction=0.59, edges=1.31),
    }
    learned = found(0.977, fraction=0.61, edges=1.4, learned=True)
    assert stays(choose({**plain, "retrain": learned}, HOME))


def test_where_images_show_one_object_edges_alone_count() -> None:
    """There a segmenter invents more than it misses."""

    def seen(fraction: float, edges: float, *, learned: bool = False) -> Evidence:
        return Evidence(LabelFreeScore(0.96, 0.96, fraction, 0.96), spots(10), learned, edges)

    plain = {IDENTITY: found(0.6), "matching": seen(0.13, 2.26)}
    assert choose({**plain, "retrain": seen(0.11, 2.39, learned=True)}, HOME).chosen == "retrain"
    assert choose({**plain, "retrain": seen(0.2, 2.2, learned=True)}, HOME).chosen == "matching"


def test_edges_do_not_decide_between_chains_and_the_unchanged_frames() -> None:
    """Among those that the frozen segmenter sees, its own score does."""
    assert choose({IDENTITY: found(0.6, edges=2), "matching": found(0.96)}, HOME).chosen == "matching"


def test_where_nobody_looked_for_edges_nothing_that_was_learned_is_chosen() -> None:
    learned = found(0.99, learned=True, edges=math.nan)
    plain = {IDENTITY: found(0.6, edges=math.nan), "matching": found(0.96, edges=math.nan)}
    evidence = {**plain, "retrain": learned}
    assert choose(evidence, HOME).chosen == "matching"


def test_a_chain_that_draws_on_no_edges_is_not_adopted() -> None:
    """Cells enlarged until their texture looks like cells: sure of itself, and worse than nothing."""
    evidence = {IDENTITY: found(0.96, edges=1.2), "matching": found(0.984, edges=0.92)}
    assert stays(choose(evidence, HOME))


def test_a_learned_candidate_may_win_where_the_unchanged_frames_are_the_best_plain_ones() -> None:
    """The objects it must keep are then those of the unchanged frames."""
    evidence = {IDENTITY: found(0.94), "matching": found(0.9), "retrain": found(0.97, learned=True)}
    choice = choose(evidence, HOME)
    assert (choice.chosen, choice.verdict) == ("retrain", "adopt with care")
    assert f"agreement with {IDENTITY} 1.00" in choice.reason
    evidence["retrain"] = found(0.97, masks=spots(10, 50), learned=True)
    choice = choose(evidence, HOME)
    assert stays(choice)
    assert "No candidate that keeps the objects" in choice.reason
    evidence["retrain"] = found(0.97, learned=True, edges=0.9)
    choice = choose(evidence, HOME)
    assert stays(choice)
    assert f"({IDENTITY}: 10.0% of the pixels, 1.00 times as steep as what is around)" in choice.reason


def test_a_score_that_falls_is_not_said_to_rise() -> None:
    evidence = {IDENTITY: found(0.96), "retrain": found(0.955, learned=True)}
    choice = choose(evidence, HOME)
    assert (choice.chosen, choice.verdict) == ("retrain", "adopt with care")
    assert "score falls, as little as it may for a learned one, from 0.960 to 0.955 with" in choice.reason


def test_the_unchanged_frames_may_be_alone() -> None:
    assert stays(choose({IDENTITY: found(0.97)}, HOME))


def test_the_rule_is_part_of_every_request() -> None:
    assert RULE == {
        "fractions": [SMALLEST_FRACTION, LARGEST_FRACTION], "trusted": TRUSTED, "sure": SURE, "margin": MARGIN,
        "concord": ["kappa with four of five others, background left out", STEEP_ENOUGH_TO_ASK],
        "least_concord": CONCORD, "kept": KEPT,
        "least_support": NO_SUPPORT,
        "least_concord_of_strange": [CONCORD_OF_STRANGE, SAME_SIZE],
        "learned_margin": LEARNED_MARGIN, "at_home": AT_HOME, "unsure": UNSURE, "least_trusted": LEAST_TRUSTED,
        "learned": "excess support times fraction, or support of single objects, above the surest frozen one",
        "edges_px": [SIGMA_PX, NEAR_PX],
        "as_steep": [AS_STEEP, AS_SURE, "at the working scale, beside the unchanged frames"],
    }  # fmt: skip
