"""What encoders, decoders and their parts say to mistakes: each file in `topologies/` is one."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import elman  # noqa: E402 - after torch is known to be there
from elman.errors import ElmanError  # noqa: E402
from elman.nn import (  # noqa: E402
    GRU,
    Attention,
    Bidirectional,
    Decoder,
    Encoder,
    EncoderDecoder,
    Pool,
    ReadOut,
    Recurrent,
    Stacked,
    truncated,
)
from tests.errors.golden import assert_says_a_way_out  # noqa: E402

pytestmark = pytest.mark.torch
FOLDER = Path(__file__).parent / "topologies"
zeros = torch.zeros
tokens = zeros(5, 3, dtype=torch.long)  # (T, B)
memory = zeros(6, 3, 32)  # (S, B, K)


def embedding(size=8):
    return torch.nn.Embedding(10, size)


class Mapped(torch.nn.Module):
    """A layer within torch.func."""

    def __init__(self):
        super().__init__()
        self.layer = Recurrent(elman.cells["gru"], 8, 16)

    def forward(self, x):
        return torch.func.vmap(lambda each: self.layer(each)[0], 1, 1)(x)


def attention(**more):
    return Attention(16, 32, **more)


def decoder(layer=None, words=None, **more):
    more = {"start": 0, "end": 1} | more
    return Decoder(layer or GRU(8, 16), words or embedding(), **more)


def looking(**more):
    return decoder(attention=attention(), **more)


def vectors(**more):
    return Decoder(GRU(3, 16), **more)


def written(**more):
    return decoder().generate(**({"max_steps": 4} | more))


def network(**more):
    return EncoderDecoder(GRU(8, 16), looking(), **more)


TWO = "h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = V @ h[t]\nreturn h, y"
CLOCKED = Recurrent("m: scalar, per step\nh[t] = tanh(m[t] * (W @ x[t]) + U @ h[t-1])", 8, 16)
STATELESS = Recurrent("y[t] = W @ x[t]", 8, 16, sizes={"y": 16})
NUMBER = "h[t] = u[t] + 0.5 * h[t-1]\nu: scalar\nh: scalar"
CLOCK = "m: per step\nh[t] = tanh(W @ x[t] + m[t] * h[t-1])"
ALONE = "h[t] = tanh(U @ h[t-1] + b)"
MISTAKES = {
    "E218_dot": lambda: Attention(16, 32, "dot"),
    "E218_query": lambda: attention()(zeros(3, 20), memory),
    "E218_keys": lambda: attention()(zeros(3, 16), zeros(6, 3, 16)),
    "E218_keys_of_four_axes": lambda: attention()(zeros(3, 16), memory[None]),
    "E218_batches": lambda: attention()(zeros(2, 16), memory),
    "E218_values": lambda: attention()(zeros(3, 16), memory, zeros(5, 3, 4)),
    "E208_sizes": lambda: Recurrent(elman.cells["gru"], 8, [16, 16], num_layers=3),
    "E219_residual": lambda: Recurrent(elman.cells["gru"], 8, 16, residual=True),
    "E219_step": lambda: Recurrent(elman.cells["gru"], 8, 16, bidirectional=True).step(zeros(3, 8)),
    "E219_number": lambda: Recurrent(NUMBER, 1, 1, bidirectional=True),
    "E219_per_step": lambda: Recurrent(CLOCK, 8, 16, bidirectional=True)(
        zeros(5, 3, 8), m=zeros(5, 16), lengths=[5, 2, 1]
    ),
    "E213_of_layers": lambda: Stacked(GRU(8, 16), GRU(16, 4))(zeros(5, 3, 8), zeros(2, 3, 16)),
    "E214_switch": lambda: Recurrent(elman.cells["gru"], 8, 16, bidirectional="yes"),
    "E214_switch_of_a_drop_in": lambda: GRU(8, 16, bidirectional="no"),
    "E214_switch_of_a_stack": lambda: Stacked(GRU(8, 8), residual="no"),
    "E208_no_sizes": lambda: Recurrent(elman.cells["gru"], 8, []),
    "E213_sizes": lambda: Recurrent(elman.cells["gru"], 8, [16, 4])(
        zeros(5, 3, 8), {"h": zeros(2, 3, 16)}
    ),
    "E407_seen": lambda: Recurrent(elman.cells["gru"], 8, 16, return_states=("z", "hat")),
    "E413_score_of_luong": lambda: attention(score="multiplicative"),
    "E504_packed": lambda: Pool("mean")(torch.nn.utils.rnn.pack_sequence([zeros(5, 8)])),
    "E413_score": lambda: attention(score="scaled"),
    "E415_prepared": lambda: attention()(
        zeros(3, 16), attention().prepare(memory), lengths=[1, 2, 3]
    ),
    "E415_prepared_by_the_encoder": lambda: EncoderDecoder(GRU(8, 32), looking())(
        zeros(6, 3, 8), tokens, memory_mask=torch.ones(6, 3)
    ),
    "E218_values_of_prepared": lambda: attention()(
        zeros(3, 16), attention().prepare(memory), memory
    ),
    "E546_keys": lambda: attention()(zeros(3, 16), memory.double()),
    "E546_values": lambda: attention()(zeros(3, 16), memory, memory.long()),
    "E546_query": lambda: Attention(32, 32, "dot")(zeros(3, 32).half(), memory),
    "E546_memory": lambda: decoder(attention=Attention(16, 16, "dot"))(
        tokens, memory=zeros(6, 3, 16).double()
    ),
    "E546_pool": lambda: Pool("attention", 32)(memory.double()),
    "E546_read_out": lambda: ReadOut(4, 2, input_size=3)(zeros(5, 4), zeros(5, 3).double()),
    "E547_keys": lambda: attention()(zeros(3, 16), memory.to("meta")),
    "E547_read_out": lambda: ReadOut(4, 2, input_size=3)(zeros(5, 4), zeros(5, 3, device="meta")),
    "E547_targets": lambda: decoder()(tokens.to("meta")),
    "E547_source": lambda: Encoder(GRU(8, 16), embedding())(tokens.to("meta")),
    "E504_keys": lambda: attention()(zeros(3, 16), [1.0]),
    "E415_both": lambda: attention()(zeros(3, 16), memory, lengths=[6, 6, 6], mask=zeros(6, 3)),
    "E415_axes_exchanged": lambda: attention()(zeros(3, 16), memory, mask=torch.ones(3, 6)),
    "E415_axes_exchanged_batch_first": lambda: Pool(batch_first=True)(
        zeros(3, 6, 4), mask=torch.ones(6, 3)
    ),
    "E415_numbers": lambda: Pool("mean")(memory, mask=torch.full((6, 3), 0.5)),
    "E415_words_alone": lambda: attention()(zeros(16), zeros(6, 32), mask="all"),
    "E504_values": lambda: attention()(zeros(16), zeros(6, 32), [1.0]),
    "E218_activation": lambda: ReadOut(4, 2, activation="tanh"),
    "E214_batch_first": lambda: Pool(batch_first="no"),
    "E214_input_feeding": lambda: looking(input_feeding="no"),
    "E415_words": lambda: Pool("mean")(memory, mask="all"),
    "E428_lengths": lambda: Pool("mean")(memory, [7, 1, 2]),
    "E208_attention": lambda: Attention(16, -1),
    "E208_pool": lambda: Pool("attention", 2.5),
    "E208_read_out": lambda: ReadOut(4, 0),
    "E218_read_out_steps": lambda: ReadOut(4, 2, 3)(zeros(5, 4), zeros(4, 3)),
    "E413_pool_weights": lambda: Pool("mean").weights(memory),
    "E413_pool": lambda: Pool("average"),
    "E218_pool_without_size": lambda: Pool("attention"),
    "E218_pool_axes": lambda: Pool("mean")(zeros(4)),
    "E218_pool_size": lambda: Pool("attention", 16)(memory),
    "E218_pool_directions": lambda: Pool("last", bidirectional=True)(zeros(5, 3, 7)),
    "E504_pool_list": lambda: Pool("mean")([1.0]),
    "E218_read_out_without_x": lambda: ReadOut(4, 2, input_size=3)(zeros(5, 4)),
    "E218_read_out_with_x": lambda: ReadOut(4, 2)(zeros(5, 4), zeros(5, 3)),
    "E218_read_out_size": lambda: ReadOut(4, 2)(zeros(5, 3)),
    "E417_a_cell": lambda: decoder(elman.cells["gru"]),
    "E417_a_class": lambda: Bidirectional(GRU),
    "E417_a_list": lambda: Stacked([GRU(8, 16), GRU(16, 4)]),
    "E417_no_layer": lambda: decoder(torch.nn.Linear(8, 16)),
    "E417_two_directions": lambda: decoder(torch.nn.GRU(8, 16, bidirectional=True)),
    "E417_two_directions_within": lambda: decoder(Stacked(Bidirectional(GRU(8, 5)), GRU(10, 16))),
    "E417_two_outputs": lambda: decoder(Recurrent(TWO, 8, 16, sizes={"y": 4})),
    "E417_no_input": lambda: decoder(Recurrent(ALONE, 8, 16)),
    "E218_decoder_reads": lambda: decoder(words=embedding(12)),
    "E218_decoder_reads_context": lambda: looking(input_feeding=True),
    "E218_decoder_reads_read_out": lambda: vectors(output_size=4),
    "E218_decoder_asks": lambda: decoder(attention=Attention(20, 32)),
    "E218_output_size": lambda: decoder(output_size=11),
    "E218_source_not_whole": lambda: Encoder(GRU(8, 16), embedding())(zeros(5, 3)),
    "E218_embedding": lambda: decoder(words=10),
    "E218_embedding_of_an_encoder": lambda: Encoder(GRU(8, 16), torch.nn.Linear(10, 8)),
    "E218_attention": lambda: decoder(attention="additive"),
    "E218_no_read_out": lambda: decoder(read_out=10),
    "E218_no_encoder": lambda: EncoderDecoder(elman.cells["gru"], decoder()),
    "E218_no_decoder": lambda: EncoderDecoder(GRU(8, 16), GRU(8, 16)),
    "E218_no_bridge": lambda: EncoderDecoder(GRU(8, 16), decoder(), bridge=True),
    "E208_output_size": lambda: decoder(output_size=0),
    "E213_no_state": lambda: decoder().generate("h", max_steps=2),
    "E213_state_of_one_axis": lambda: decoder().generate(zeros(16), max_steps=2),
    "E419_generator_of_draws": lambda: decoder()(tokens, teacher_forcing=0.5, generator=5),
    "E218_tied": lambda: decoder(tie_weights=True, output_size=11),
    "E416_tied": lambda: vectors(tie_weights=True),
    "E416_tied_beside_a_read_out": lambda: decoder(
        tie_weights=True, read_out=torch.nn.Linear(16, 10)
    ),
    "E416_input_feeding": lambda: decoder(input_feeding=True),
    "E416_no_memory": lambda: looking()(tokens),
    "E416_no_attention": lambda: decoder()(tokens, memory=memory),
    "E211_memory": lambda: looking()(tokens, memory=zeros(6, 2, 32)),
    "E211_state": lambda: looking().generate(zeros(1, 2, 16), memory, max_steps=3),
    "E218_targets": lambda: decoder()(tokens[0]),
    "E218_targets_not_whole": lambda: decoder()(zeros(5, 3)),
    "E218_targets_vectors": lambda: vectors()(zeros(5, 2, 4)),
    "E418_targets": lambda: decoder()(tokens + 10 * torch.eye(5, 3, dtype=torch.long)),
    "E418_source": lambda: Encoder(GRU(8, 16, batch_first=True), embedding())(tokens.T - 1),
    "E418_no_start": lambda: decoder(start=None)(tokens),
    "E418_start": lambda: decoder(start=10)(tokens),
    "E418_start_of_two_axes": lambda: decoder()(tokens, start=zeros(3, 1).long()),
    "E418_start_in_words": lambda: decoder()(tokens, start="begin"),
    "E418_two_ends": lambda: written(end=[1, 2]),
    "E218_start": lambda: vectors().generate(max_steps=3, start=[1.0, 2.0]),
    "E211_start": lambda: decoder()(tokens, start=[0, 1]),
    "E418_end": lambda: written(end=-1),
    "E419_teacher_forcing": lambda: decoder()(tokens, teacher_forcing=2),
    "E419_max_steps": lambda: written(max_steps=0),
    "E419_temperature": lambda: written(method="sample", temperature=0),
    "E419_top_p": lambda: written(method="sample", top_p=90),
    "E419_other_method": lambda: written(temperature=0.5),
    "E419_beam_size": lambda: written(method="beam", beam_size=1.5),
    "E419_n_best": lambda: written(method="beam", beam_size=3, n_best=4),
    "E419_length_penalty": lambda: written(method="beam", length_penalty=lambda n: n - 1),
    "E419_banned": lambda: written(banned=[2, 10]),
    "E419_banned_words": lambda: written(banned="end"),
    "E419_all_banned": lambda: written(banned=[0, *range(2, 10)], min_steps=2),
    "E419_no_repeat_ngram_size": lambda: written(no_repeat_ngram_size=0),
    "E413_repeats_of_vectors": lambda: vectors().generate(max_steps=3, no_repeat_ngram_size=2),
    "E419_min_steps": lambda: written(min_steps=0),
    "E419_min_steps_above_max_steps": lambda: written(min_steps=5),
    "E243_steps": lambda: Decoder(CLOCKED, embedding(), start=0).generate(
        max_steps=9, inputs={"m": zeros(5)}
    ),
    "E211_targets": lambda: Decoder(CLOCKED, embedding(), start=0)(
        tokens, inputs={"m": zeros(4)}, teacher_forcing=0.5
    ),
    "E428_targets": lambda: decoder()(tokens, lengths=[5, 6, 1]),
    "E419_unknown": lambda: written(beam_sise=3),
    "E419_generator": lambda: written(method="sample", generator=5),
    "E413_banned_vectors": lambda: vectors().generate(max_steps=3, banned=[2]),
    "E413_tokens_of_vectors": lambda: vectors().generate(max_steps=3).tokens(),
    "E413_method": lambda: written(method="beams"),
    "E413_beam_of_vectors": lambda: vectors().generate(max_steps=3, method="beam"),
    "E405_inputs": lambda: decoder()(tokens, inputs=zeros(3)),
    "E504_inputs": lambda: written(inputs={"v": [1.0, 2.0]}),
    "E405_input": lambda: decoder()(tokens, inputs={"v": zeros(3)}),
    "E218_encoder_reads": lambda: Encoder(GRU(8, 16), embedding(9)),
    "E218_source": lambda: Encoder(GRU(8, 16), embedding())(zeros(5, 3, 8)),
    "E218_source_list": lambda: Encoder(GRU(8, 16), embedding())([1, 2]),
    "E428_encoder": lambda: Encoder(GRU(8, 16), embedding())(tokens, [5, 6, 1]),
    "E218_memory": lambda: network(),
    "E416_sees_nothing": lambda: EncoderDecoder(GRU(8, 16), decoder(), bridge=False),
    "E823_exported": lambda: torch.export.export(Mapped(), (zeros(5, 3, 8),), strict=False),
    "E417_no_state": lambda: EncoderDecoder(
        Recurrent("y[t] = W @ x[t]", 8, 16, sizes={"y": 16}), decoder()
    ),
    "E240_steps": lambda: truncated(GRU(8, 16), zeros(5, 3, 8), 0),
    "E240_fraction": lambda: truncated(GRU(8, 16), zeros(5, 3, 8), 2.5),
    "E241_backwards": lambda: truncated(GRU(8, 16, bidirectional=True), zeros(5, 3, 8), 2),
    "E241_both_ways": lambda: truncated(
        Stacked(GRU(8, 16), Bidirectional(GRU(16, 16))), zeros(5, 3, 8), 2
    ),
    "E241_one_step": lambda: truncated(torch.nn.GRUCell(8, 16), zeros(5, 3, 8), 2),
    "E241_no_layer": lambda: truncated(elman.cells["gru"], zeros(5, 3, 8), 2),
    "E241_no_state": lambda: truncated(torch.nn.Linear(8, 16), zeros(5, 3, 8), 2),
    "E241_no_lengths": lambda: truncated(torch.nn.GRU(8, 16), zeros(5, 3, 8), 2, lengths=[5, 1, 3]),
    "E242_packed": lambda: truncated(
        GRU(8, 16), torch.nn.utils.rnn.pack_sequence([zeros(5, 8)]), 2
    ),
    "E242_nothing": lambda: truncated(GRU(8, 16), None, 2),
    "E211_steps": lambda: truncated(CLOCKED, zeros(5, 3, 8), 2, m=zeros(4)),
    "E428_pieces": lambda: truncated(CLOCKED, zeros(5, 3, 8), 2, lengths=[5, 6, 1], m=zeros(5)),
    "E429_pieces": lambda: truncated(CLOCKED, zeros(5, 3, 8), 2, reset=zeros(3, 5), m=zeros(5)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name):
    with pytest.raises(ElmanError) as caught:
        MISTAKES[name]()
    assert_says_a_way_out(FOLDER / f"{name}.txt", f"{caught.value}\n")


def test_every_golden_text_has_a_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MISTAKES)
