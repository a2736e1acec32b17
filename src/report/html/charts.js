// Charts, as SVG that can be read aloud.

const SHAPES = [
  (x, y) => s('circle', { class: 'dot', cx: x, cy: y, r: 5 }),
  (x, y) => s('rect', { class: 'dot', x: x - 4.5, y: y - 4.5, width: 9, height: 9 }),
  (x, y) => s('path', { class: 'dot', d: `M${x} ${y - 6}l5.5 10h-11z` }),
  (x, y) => s('path', { class: 'dot', d: `M${x} ${y - 6.5}l6 6.5l-6 6.5l-6 -6.5z` }),
  (x, y) => s('path', { class: 'dot', d: `M${x} ${y + 6}l5.5 -10h-11z` }),
  (x, y) => s('path', { class: 'dot', d: `M${x - 6} ${y - 3.5}h12l-2.5 8h-7z` }),
];

/** Ends of an axis for these numbers: 0 to 1 where they fit. */
function extent(numbers) {
  const low = Math.min(...numbers);
  const high = Math.max(...numbers);
  // What a bootstrap adds below 0 is no reason for another axis.
  if (low > -0.05 && high <= 1) return [Math.min(0, low), 1];
  if (low === high) return [low - 0.5, high + 0.5];
  const room = (high - low) * 0.05;
  return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
}

/** Means with their intervals: rows of `{name, series, mean, low, high}`, in groups. */
function whiskers(title, groups, percent) {
  const rows = groups.flatMap(group => group.rows);
  const numbers = rows.flatMap(row => [row.mean, row.low, row.high]).filter(n => typeof n === 'number');
  if (!numbers.length) return h('p', { class: 'soft' }, 'No scores.');
  const [low, high] = extent(numbers);
  const [left, right, width] = [150, 150, 560];
  const x = value => left + ((value - low) / (high - low)) * (width - left - right);
  const svg = s('svg', { role: 'img' });
  let y = 8;
  const spoken = [];
  for (const group of groups) {
    if (groups.length > 1 || group.name !== '') {
      svg.append(s('text', { x: 0, y: y + 11, 'font-weight': 600 }, short(group.name, 40)));
      y += 19;
    }
    for (const row of group.rows) {
      const middle = y + 10;
      const has = typeof row.mean === 'number';
      const told = has
        ? `${number(row.mean, percent)}${typeof row.low === 'number' ? ` [${number(row.low, percent)}, ${number(row.high, percent)}]` : ''}`
        : 'no score';
      spoken.push(`${group.name} ${row.name}: ${told}`);
      svg.append(
        s('line', { class: 'rule', x1: left, x2: width - right, y1: middle, y2: middle }),
        s('text', { x: 6, y: middle + 4 }, short(row.name, 21), s('title', null, row.name)),
        s('text', { class: 'soft', x: width, y: middle + 4, 'text-anchor': 'end' }, told),
      );
      if (has) {
        svg.append(s('g', { class: `s${row.series % 6}` },
          typeof row.low === 'number' && s('line', { class: 'whisker', x1: x(row.low), x2: x(row.high), y1: middle, y2: middle }),
          SHAPES[row.series % SHAPES.length](x(row.mean), middle)));
      }
      y += 21;
    }
    y += 5;
  }
  for (const end of [low, high]) {
    const anchor = end === low ? 'start' : 'end';
    svg.append(s('text', { class: 'soft', x: x(end), y: y + 10, 'text-anchor': anchor, 'font-size': 10 }, number(end, percent)));
  }
  const height = y + 16;
  dress(svg, { viewBox: `0 0 ${width} ${height}`, width, height, 'aria-label': `${title}. ${spoken.join('; ')}` });
  return svg;
}

/** How scores are spread; `pick` is told the edges of a bin that is clicked. */
function histogram(name, spread, pick) {
  const [width, height] = [230, 74];
  const most = Math.max(...spread.bins);
  const wide = width / spread.bins.length;
  const step = (spread.to - spread.from) / spread.bins.length;
  const svg = s('svg', {
    viewBox: `0 0 ${width} ${height + 16}`, width: '100%', role: 'img',
    'aria-label': `${name}: ${count(spread.n, 'score')} from ${number(spread.low)} to ${number(spread.high)}, mean ${number(spread.mean)}`,
  });
  spread.bins.forEach((n, at) => {
    const tall = n === 0 ? 0 : Math.max(2, (n / most) * (height - 12));
    const from = spread.from + at * step;
    const title = `${number(from)} to ${number(from + step)}: ${count(n, 'record')}`;
    svg.append(
      s('rect', { class: 'bar', x: at * wide + 0.5, width: wide - 1, y: height - tall, height: tall }),
      s('rect', { class: 'hit', x: at * wide, width: wide, y: 0, height, onclick: () => pick(from, from + step, at === spread.bins.length - 1) }, s('title', null, title)),
    );
  });
  const mean = ((spread.mean - spread.from) / (spread.to - spread.from)) * width;
  svg.append(
    s('line', { class: 'rule', x1: 0, x2: width, y1: height, y2: height }),
    s('g', { class: 's1' }, s('line', { class: 'whisker', x1: mean, x2: mean, y1: 2, y2: height })),
    s('text', { class: 'soft', x: 0, y: height + 12, 'font-size': 10 }, number(spread.from)),
    s('text', { class: 'soft', x: width, y: height + 12, 'font-size': 10, 'text-anchor': 'end' }, number(spread.to)),
  );
  return svg;
}

/** When stages worked: rows of `{name, kind, begun, ended}` in milliseconds. */
function timeline(rows) {
  const end = Math.max(1, ...rows.map(row => row.ended));
  const [left, width] = [230, 1000];
  const x = ms => left + (ms / end) * (width - left - 70);
  const height = rows.length * 20 + 22;
  const svg = s('svg', {
    viewBox: `0 0 ${width} ${height}`, width, height, role: 'img',
    'aria-label': `Timeline of ${count(rows.length, 'stage')} over ${time(end)}; the table of stages has the same times`,
  });
  for (let part = 0; part <= 4; part += 1) {
    const at = x((end * part) / 4);
    svg.append(
      s('line', { class: 'rule', x1: at, x2: at, y1: 0, y2: height - 18 }),
      s('text', { class: 'soft', x: at, y: height - 4, 'text-anchor': 'middle', 'font-size': 10.5 }, time(Math.round((end * part) / 4))));
  }
  rows.forEach((row, at) => {
    const y = at * 20 + 3;
    const from = x(row.begun);
    const to = Math.max(from + 2, x(row.ended));
    svg.append(
      s('text', { x: 0, y: y + 11 }, ended(row.name, 30), s('title', null, row.name)),
      s('rect', { class: `bar ${row.kind}`, x: from, y, width: to - from, height: 14, rx: 2 }, s('title', null, `${row.name}: ${time(row.begun)} to ${time(row.ended)}`)),
      s('text', { class: 'soft', x: to + 5, y: y + 11, 'font-size': 10.5 }, time(row.ended - row.begun)));
  });
  return svg;
}
