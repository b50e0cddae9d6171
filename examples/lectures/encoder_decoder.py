"""Encoder and decoder: a sentence becomes a vector, and the vector another sentence.

Two words of English, two of Spanish, where the adjective comes last: "blue house", "casa azul". The
encoder keeps both words in its state, the newest in front. Its final state is the decoder's first;
the decoder says the word in front, and moves the other one up. The weights are set by hand.
"""

import numpy as np

import elman

ENGLISH = ["blue", "green", "house", "car"]
SPANISH = ["azul", "verde", "casa", "coche"]

encoder = elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])")
decoder = elman.Cell("""
    s[t] = tanh(M @ s[t-1])     # the next word moves up
    y[t] = softmax(V @ s[t-1])  # the word that was in front is said
""")

one, none = np.eye(4), np.zeros((4, 4))
ENCODER = {"W": np.vstack([3 * one, none]), "U": np.block([[none, none], [3 * one, none]])}
DECODER = {"V": 5 * np.hstack([one, none]), "M": np.block([[none, 3 * one], [none, none]])}


def translate(sentence):
    """Two traces: the encoder's last state is what the decoder starts from."""
    words = [one[ENGLISH.index(word)] for word in sentence.split()]
    h = encoder.trace({"x": words}, ENCODER).values["h"]
    written = decoder.trace({}, DECODER, {"s": h[-1]}, steps=len(words))
    return h, written.values["y"]


print(f"encoder:  {encoder}decoder:  " + "          ".join(str(decoder).splitlines(keepends=True)))
h, y = translate("blue house")
for t, word in enumerate(["blue", "house"]):
    print(f"read {word:<6} h[{t + 1}] = {h[t].round(2)}")
for t in range(2):
    print(f"say  {SPANISH[y[t].argmax()]:<6} y[{t + 1}] = {y[t].round(2)}")

print()
for adjective in ENGLISH[:2]:
    for noun in ENGLISH[2:]:
        _, y = translate(f"{adjective} {noun}")
        said = " ".join(SPANISH[each.argmax()] for each in y)
        print(f"{adjective} {noun}: {said}")
