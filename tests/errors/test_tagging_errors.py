"""What a CRF and a CTC search say to mistakes: each file in `tagging/` is one message."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from elman.errors import ElmanError  # noqa: E402 - after torch is known to be there
from elman.nn import CRF, ctc_beam, ctc_greedy  # noqa: E402
from tests.errors.golden import assert_says_a_way_out  # noqa: E402

pytestmark = pytest.mark.torch
FOLDER = Path(__file__).parent / "tagging"
LABELS = ["O", "B-PER", "I-PER"]


def crf(**more):
    return CRF(3, **more)


def bio(**more):
    return crf(allowed=CRF.constraints(LABELS), **more)


e = torch.zeros(4, 2, 3)
tags = torch.zeros(4, 2, dtype=torch.long)
first = CRF(3, batch_first=True)
turned = torch.zeros(2, 4, 3)
HOLE = torch.tensor([[1, 1], [1, 0], [1, 1], [0, 0]])
OUTSIDE = torch.tensor([[0, 1], [2, 2], [0, 0], [0, 0]])
MISTAKES = {
    "E208_no_tag": lambda: CRF(0),
    "E428_too_long": lambda: crf().decode(e, lengths=[5, 1]),
    "E430_a_list": lambda: crf().decode([[0.0, 1.0, 2.0]]),
    "E430_whole_numbers": lambda: crf().decode(e.long()),
    "E430_other_tags": lambda: crf().decode(torch.zeros(4, 2, 5)),
    "E430_four_axes": lambda: first.decode(e[None]),
    "E430_no_step": lambda: crf().decode(e[:0]),
    "E431_axes_exchanged": lambda: crf()(e, tags.T),
    "E431_of_another_batch": lambda: first(turned, tags.T[:1]),
    "E431_none": lambda: crf()(e, "0 1 2"),
    "E435_no_labels": lambda: CRF.constraints(5),
    "E431_not_whole": lambda: crf()(e, tags.float()),
    "E431_padding": lambda: crf()(e, torch.full((4, 2), -100)),
    "E431_padding_batch_first": lambda: first(turned, torch.tensor([[0, 0, 1, 1], [0, 2, 3, 3]])),
    "E432_hole": lambda: crf().decode(e, HOLE),
    "E432_hole_batch_first": lambda: first.decode(turned, HOLE.T),
    "E432_padding_first": lambda: crf().decode(e[:, 0], torch.tensor([0, 0, 1, 1])),
    "E432_axes_exchanged": lambda: crf().decode(e, torch.ones(2, 4)),
    "E432_empty": lambda: crf().decode(e, lengths=[4, 0]),
    "E432_both": lambda: crf().decode(e, torch.ones(4, 2), lengths=[4, 4]),
    "E432_words": lambda: crf().decode(e, "all"),
    "E432_numbers": lambda: crf().decode(e, torch.full((4, 2), torch.nan)),
    "E433_after": lambda: bio()(e, OUTSIDE),
    "E433_first": lambda: bio()(e[:, 0], torch.tensor([2, 0, 0, 0])),
    "E433_last": lambda: crf(allowed_end=[1, 1, 0], batch_first=True)(
        turned, torch.tensor([[0, 0, 0, 0], [0, 2, 0, 0]]), lengths=[4, 2]
    ),
    "E434_form": lambda: crf(allowed=[[True, False], [True, True]]),
    "E434_words": lambda: crf(allowed="BIO"),
    "E434_numbers": lambda: crf(allowed_start=[0.5, 0.5, 0.0]),
    "E434_no_tag": lambda: crf(allowed_end=[0, 0, 0]),
    "E430_nan": lambda: crf().decode(torch.full((3, 2, 3), torch.nan)),
    "E434_no_path_by_scores": lambda: crf().marginals(torch.full((3, 2, 3), -torch.inf)),
    "E434_no_path": lambda: crf(allowed=torch.eye(3).roll(1) * 0).decode(e, lengths=[1, 3]),
    "E435_label": lambda: CRF.constraints(["O", "B-PER", "E-PER"]),
    "E435_typed_outside": lambda: CRF.constraints(["O-PER", "B-PER"]),
    "E435_scheme": lambda: CRF.constraints(LABELS, "BIOS"),
    "E435_no_list": lambda: CRF.constraints("BIO"),
    "E436_reduction": lambda: crf()(e, tags, reduction="avg"),
    "E436_n_best": lambda: crf().decode(e, n_best=0),
    "E419_generator": lambda: crf().sample(e, generator=5),
    "E430_inf": lambda: crf().sample(torch.full((3, 2, 3), torch.inf)),
    "E547_emissions": lambda: crf()(e.to("meta"), tags),
    "E436_num_samples": lambda: crf().sample(e, num_samples=1.5),
    "E437_one_axis": lambda: ctc_greedy(torch.zeros(3)),
    "E437_words": lambda: ctc_beam("abc"),
    "E437_nan": lambda: ctc_beam(torch.full((3, 2, 4), float("nan"))),
    "E437_language_model": lambda: ctc_beam(torch.zeros(3, 4), language_model=lambda _: [0.0]),
    "E438_blank": lambda: ctc_greedy(torch.zeros(3, 2, 4), blank=4),
    "E438_language_model": lambda: ctc_beam(torch.zeros(3, 4), language_model="english"),
    "E438_beam_width": lambda: ctc_beam(torch.zeros(3, 2, 4), beam_width=0),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name):
    with pytest.raises(ElmanError) as caught:
        MISTAKES[name]()
    assert_says_a_way_out(FOLDER / f"{name}.txt", f"{caught.value}\n")


def test_every_golden_text_has_a_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MISTAKES)
