"""Auto-completion: the network of next_word.sheet.yaml reads its own words.

It is given "I" and says the word that it holds likeliest; that word is its next input. Its weights
are those of the exercise, which nobody trained: it completes, and not well.
"""

from pathlib import Path

import elman

sheet = elman.sheets.load(Path(__file__).with_name("next_word.sheet.yaml"))
weights = sheet.arguments()["weights"]
words = sheet.names["x"]

said, state = ["I"], {}
for _ in range(5):
    x = [[float(word == said[-1]) for word in words]]
    run = sheet.cell.run({"x": x}, weights, state, backend="numpy")
    state = run.final  # what the network knows of all the words before
    y = run["y"][0]
    chances = ", ".join(f"{word} {chance:.4f}" for word, chance in zip(words, y, strict=True))
    said.append(words[y.argmax()])
    print(f"{' '.join(said[:-1])} -> {said[-1]}\n    {chances}")
