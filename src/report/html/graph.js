// The stages as a drawing, with their counts and times.

const TALL = 44;

function path(points) {
  let text = '';
  for (let at = 0; at + 1 < points.length; at += 2) {
    const [x, y] = points[at];
    const [u, v] = points[at + 1];
    const m = (y + v) / 2;
    text += `${at === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}C${x.toFixed(1)} ${m.toFixed(1)} ${u.toFixed(1)} ${m.toFixed(1)} ${u.toFixed(1)} ${v.toFixed(1)}`;
  }
  return text;
}

/** What went in and came out, in a few characters. */
function flow(stage) {
  const at = n => (n === null ? '?' : whole.format(n));
  if (stage.read === null && stage.emitted === null) return '';
  if (stage.kind === 'output' || stage.verb === 'load' || stage.read === null) return at(stage.emitted);
  if (stage.read === stage.emitted) return at(stage.read);
  return `${at(stage.read)} → ${at(stage.emitted)}`;
}

function drawing(overview, open) {
  const [width, height] = overview.size;
  const svg = s('svg', {
    class: 'graph', viewBox: `0 0 ${width} ${height}`, role: 'img',
    'aria-label': `Drawing of ${count(overview.stages.length, 'stage')}; the table of stages below says the same`,
  });
  svg.append(s('defs', null, s('marker', { id: 'tip', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' }, s('path', { class: 'tip', d: 'M0 0L8 4L0 8z' }))));
  for (const edge of overview.edges) {
    svg.append(s('path', { class: edge.with && 'with', d: path(edge.points), 'marker-end': 'url(#tip)' }));
  }
  overview.stages.forEach((stage, at) => {
    const [x, y, wide] = stage.at;
    const middle = x + wide / 2;
    const numbers = [flow(stage), stage.time && time(stage.time.took)].filter(Boolean).join(' · ');
    svg.append(s('g', { class: `box ${stage.kind}${stage.sensitive ? ' marked' : ''}`, onclick: () => open(at) },
      s('title', null, `${stage.name}: ${stage.verb}`),
      s('rect', { x, y, width: wide, height: TALL, rx: 5 }),
      s('text', { x: middle, y: y + 17 }, ended(stage.name, 26)),
      s('text', { class: 'verb soft', x: middle, y: y + 34 }, `${stage.verb}${numbers ? ` · ${numbers}` : ''}`)));
  });
  return svg;
}

/** The end of a long name says more than its beginning: instances have the same one. */
function ended(text, most) {
  return text.length > most ? `…${text.slice(1 - most)}` : text;
}

/** The size that was chosen for the drawing; none as long as it is as it fits. */
let zoom = null;

/** The drawing in a frame, with buttons for its size. */
function framed(overview, open) {
  const svg = drawing(overview, open);
  const [width, height] = overview.size;
  const frame = h('div', { class: 'frame', tabindex: 0, role: 'group', 'aria-label': 'Drawing of the stages, which can be scrolled' }, svg);
  let scale = 1;
  const size = to => {
    scale = Math.min(2, Math.max(0.1, to));
    dress(svg, { width: Math.round(width * scale), height: Math.round(height * scale) });
  };
  const choose = to => {
    size(to);
    zoom = scale;
  };
  const fit = () => choose(Math.min(1, (frame.clientWidth - 4 || 1200) / width));
  if (zoom === null) requestAnimationFrame(() => size(Math.max(0.75, Math.min(1, (frame.clientWidth - 4) / width))));
  size(zoom ?? 1);
  const button = (name, act) => h('button', { type: 'button', onclick: act }, name);
  const key = (kind, name) => [h('span', { class: `key ${kind}`, 'aria-hidden': 'true' }), name];
  return [
    h('div', { class: 'tools' },
      button('Smaller', () => choose(scale / 1.25)), button('Larger', () => choose(scale * 1.25)), button('Fit', fit),
      h('span', { class: 'soft small' }, key('asks', 'asks a model'), key('output', 'writes a file'), overview.stages.some(stage => stage.sensitive) && key('marked', 'sensitive'))),
    frame,
  ];
}
