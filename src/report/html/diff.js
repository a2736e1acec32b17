// Two texts side by side, with what each has that the other lacks.

/** Words of a text at most: beyond, nothing is compared. */
const MOST_WORDS = 1500;

const WORDS = /[\p{L}\p{M}\p{N}]+|\s+|[^\p{L}\p{M}\p{N}\s]/gu;

/** Which words of `a` and of `b` are in both, in order; null if the texts are too long. */
function common(a, b) {
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) return null;
  const wide = b.length + 1;
  const best = new Uint16Array((a.length + 1) * wide);
  const same = (i, j) => a[i].toLowerCase() === b[j].toLowerCase();
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      best[i * wide + j] = same(i, j)
        ? best[(i + 1) * wide + j + 1] + 1
        : Math.max(best[(i + 1) * wide + j], best[i * wide + j + 1]);
    }
  }
  const kept = [new Uint8Array(a.length), new Uint8Array(b.length)];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (same(i, j)) {
      kept[0][i] = kept[1][j] = 1;
      i += 1;
      j += 1;
    } else if (best[(i + 1) * wide + j] >= best[i * wide + j + 1]) i += 1;
    else j += 1;
  }
  return kept;
}

/** The parts of one of the texts, with those that only it has in elements of `tag`. */
function parts(words, kept, tag) {
  const made = [];
  let run = '';
  let inside = false;
  const flush = () => {
    if (run) made.push(inside ? h(tag, null, seen(run)) : seen(run));
    run = '';
  };
  words.forEach((word, at) => {
    const only = !kept[at] && word.trim() !== '';
    // White space between two marked words belongs to the mark.
    const bridge = word.trim() === '' && inside && at + 1 < words.length && !kept[at + 1];
    if ((only || bridge) !== inside) {
      flush();
      inside = only || bridge;
    }
    run += word;
  });
  flush();
  return made;
}

/** A reference and a prediction, next to each other. */
function compared(reference, prediction) {
  const a = reference.match(WORDS) ?? [];
  const b = prediction.match(WORDS) ?? [];
  const kept = common(a, b);
  const side = (title, text, made) =>
    h('div', null, h('h3', null, title), h('div', { class: 'text', dir: 'auto' }, text === '' ? h('span', { class: 'soft' }, 'empty') : made));
  return [
    h('div', { class: 'two' },
      side('Reference', reference, kept ? parts(a, kept[0], 'del') : seen(reference)),
      side('Prediction', prediction, kept ? parts(b, kept[1], 'ins') : seen(prediction))),
    kept && reference !== prediction && h('p', { class: 'soft small' }, h('del', null, 'green, dotted'), ': only in the reference. ', h('ins', null, 'orange, underlined'), ': only in the prediction.'),
    !kept && h('p', { class: 'soft small' }, 'Differences are not marked: the texts are too long.'),
  ];
}
