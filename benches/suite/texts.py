"""Invented text, the same every time: words of syllables, as often as words are (Zipf)."""

import itertools
import random

SYLLABLES = [a + b for a in "bcdfglmnprstv" for b in ("a", "e", "i", "o", "u", "al", "en", "or")]


class Writer:
    def __init__(self, seed):
        self.random = random.Random(seed)
        some = random.Random(1)
        names = {"".join(some.choices(SYLLABLES, k=some.randint(1, 4))) for _ in range(9000)}
        self.vocabulary = sorted(names)
        some.shuffle(self.vocabulary)
        weights = (1 / (rank + 3) for rank in range(len(self.vocabulary)))
        self.weights = list(itertools.accumulate(weights))

    def words(self, n):
        return self.random.choices(self.vocabulary, cum_weights=self.weights, k=n)

    def sentence(self, n):
        return " ".join(self.words(n)).capitalize() + "."

    def paragraph(self, size):
        """About so many characters, in lines as in a letter."""
        text, line = [], ""
        while sum(map(len, text)) < size:
            for word in self.sentence(self.random.randint(4, 20)).split():
                if len(line) + len(word) > 75:
                    text.append(line + "\n")
                    line = ""
                line += word + " "
        return "".join(text) + line.rstrip() + "\n"

    def pair(self, n):
        """A text, and another that shares about half of it."""
        reference = self.words(n)
        share = self.random.random()
        kept = [word for word in reference if self.random.random() < share]
        other = self.words(n // 3)
        at = self.random.randint(0, len(kept))
        return " ".join(reference), " ".join(kept[:at] + other + kept[at:])
