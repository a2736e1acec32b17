// The sections of the page but for the records.

/** A table of rows of children; columns named with a leading `#` hold numbers. */
function grid(caption, columns, rows, classes = '') {
  const right = columns.map(name => name.startsWith('#'));
  return h('div', { class: 'scroll' }, h('table', { class: classes },
    caption && h('caption', null, caption),
    h('thead', null, h('tr', null, columns.map((name, at) => h('th', { scope: 'col', class: right[at] && 'number' }, name.replace(/^#/, ''))))),
    h('tbody', null, rows.map(row => h('tr', null, row.map((cell, at) => h('td', { class: right[at] && 'number' }, cell)))))));
}

/** The records of a board as objects. */
function records(board) {
  return board.rows.map(row => Object.fromEntries(board.columns.map((name, at) => [name, row[at]])));
}

function ranged(mean, low, high, percent) {
  if (typeof mean !== 'number') return h('span', { class: 'soft' }, '–');
  return [number(mean, percent), typeof low === 'number' && typeof high === 'number' && h('span', { class: 'range' }, ` [${number(low, percent)}, ${number(high, percent)}]`)];
}

/** A wide table: each column's first value, with the ends of its interval if it has them. */
function wide(board, stages) {
  const { by, values } = board;
  const rest = values.slice(1);
  const main = board.columns.filter(name => !by.includes(name) && !rest.some(value => name.endsWith(`.${value}`)));
  const rows = records(board);
  for (const wish of [...board.sort].reverse()) {
    const down = wish.startsWith('-');
    const name = wish.replace(/^-/, '');
    const missing = row => row[name] === null || row[name] === undefined;
    rows.sort((a, b) => {
      if (missing(a) || missing(b)) return missing(a) - missing(b);
      const order = typeof a[name] === 'number' ? a[name] - b[name] : String(a[name]).localeCompare(String(b[name]));
      return down ? -order : order;
    });
  }
  const best = new Map(main.map(name => [name, Math.max(...rows.map(row => row[name]).filter(n => typeof n === 'number'))]));
  const cell = (row, name) => {
    const shown = ranged(row[name], row[`${name}.low`], row[`${name}.high`], board.percent);
    const is = board.best && rows.length > 1 && row[name] === best.get(name);
    return is ? [h('span', { class: 'best' }, number(row[name], board.percent)), Array.isArray(shown) && shown[1]] : shown;
  };
  return h('div', { class: 'card' }, h('h3', null, stages[board.stage].name),
    grid(board.percent && 'In percent, with intervals where they are known.', [...by, ...main.map(name => `#${name}`)],
      rows.map(row => [...by.map(name => String(row[name] ?? '')), ...main.map(name => cell(row, name))])));
}

/** Charts of means: one for each group but for what is compared. */
function charts(overview) {
  const compares = overview.boards.filter(board => board.kind === 'compare');
  const stats = overview.boards.filter(board => board.kind === 'stats');
  const between = new Set(compares.map(board => board.between));
  const facets = new Map();
  const series = [];
  for (const board of stats) {
    const name = board.by.find(field => between.has(field)) ?? board.by.find(field => field === 'model') ?? board.by.at(-1);
    const others = board.by.filter(field => field !== name);
    for (const row of records(board)) {
      const title = others.map(field => row[field]).filter(value => value !== null && value !== undefined).join(' · ');
      const one = name === undefined ? '' : String(row[name] ?? '');
      if (!series.includes(one)) series.push(one);
      const facet = facets.get(title) ?? facets.set(title, { metrics: new Map(), n: new Map(), percent: false }).get(title);
      facet.percent ||= board.percent;
      const rows = facet.metrics.get(row.metric) ?? facet.metrics.set(row.metric, []).get(row.metric);
      if (!rows.some(other => other.name === one)) rows.push({ ...row, name: one || row.metric, series: series.indexOf(one) });
      facet.n.set(row.metric, row.n);
    }
  }
  return [...facets].map(([title, facet]) => {
    const groups = [...facet.metrics].map(([metric, rows]) => {
      const missing = rows.reduce((sum, row) => sum + (row.missing ?? 0), 0);
      return { name: rows.length === 1 && rows[0].name === metric ? '' : metric, rows, missing };
    });
    const n = [...new Set(facet.n.values())].sort((a, b) => a - b);
    const missing = groups.reduce((sum, group) => sum + group.missing, 0);
    return h('div', { class: 'card' }, h('h3', null, title || 'All together'),
      h('div', { class: 'chart' }, whiskers(title || 'All together', groups, facet.percent)),
      h('p', { class: 'soft small' }, `n = ${n.map(m => whole.format(m)).join(' to ')}${missing ? `, ${missing} without a score` : ''}. Dots are means, lines bootstrap intervals.`));
  });
}

const PAIRS = 60;

function comparison(board, stages) {
  const rows = records(board);
  const corrected = board.columns.includes('p_corrected');
  const p = value => (typeof value !== 'number' ? '–' : value < 0.001 ? '< 0.001' : value.toFixed(3));
  const line = row => [
    ...board.by.map(name => String(row[name] ?? '')), row.metric, String(row.a), String(row.b),
    ranged(row.difference, row.low, row.high), number(row.n), p(row.p), ...(corrected ? [p(row.p_corrected)] : []),
  ];
  const columns = [...board.by, 'metric', 'a', 'b', '#a − b', '#n', '#p', ...(corrected ? ['#p, corrected'] : [])];
  return h('div', { class: 'card' }, h('h3', null, stages[board.stage].name),
    grid('Paired differences on the same records.', columns, rows.slice(0, PAIRS).map(line)),
    rows.length > PAIRS && h('details', null, h('summary', null, `${rows.length - PAIRS} more`), grid(null, columns, rows.slice(PAIRS).map(line))));
}

function results(overview) {
  const { boards, stages } = overview;
  const pivots = boards.filter(board => board.kind === 'pivot' && board.rows.length);
  const shown = pivots.filter(board => board.show);
  const others = pivots.filter(board => !board.show);
  const made = charts(overview);
  const compares = boards.filter(board => board.kind === 'compare' && board.rows.length);
  if (!pivots.length && !made.length && !compares.length) return null;
  return [
    shown.map(board => wide(board, stages)),
    made.length > 0 && [h('h3', null, 'Means'), h('div', { class: 'grid' }, made)],
    compares.length > 0 && [h('h3', null, 'Comparisons'), compares.map(board => comparison(board, stages))],
    others.length > 0 && h('details', null, h('summary', null, `${count(others.length, 'more table')}`), others.map(board => wide(board, stages))),
  ];
}

/** The stages from a file to a table, first inputs only. */
function chain(overview, stage) {
  const found = [];
  for (let at = stage; at !== undefined && !found.includes(at); [at] = overview.stages[at].inputs) found.push(at);
  return found.reverse();
}

function funnel(overview, table, open) {
  const { stages } = overview;
  const steps = [];
  let before = null;
  for (const at of chain(overview, table.stage)) {
    const stage = stages[at];
    const { emitted } = stage;
    const sure = emitted !== null && !stage.chance;
    const telling = before === null || !sure || emitted !== before || stage.failed || stage.missing || at === table.stage;
    if (telling) steps.push({ stage, at, change: before === null || !sure ? null : emitted - before, same: 0 });
    else steps.at(-1).same += 1;
    if (emitted !== null) before = emitted;
    else before = null;
  }
  const most = Math.max(1, ...steps.map(step => step.stage.emitted ?? 0));
  const why = ({ stage, change }) => {
    const told = [];
    if (stage.failed) told.push(`${whole.format(stage.failed)} failed`);
    if (stage.missing) told.push(`${count(stage.missing, 'call')} without an answer`);
    if (change) told.push(`${change > 0 ? '+' : '−'}${whole.format(Math.abs(change))}`);
    if (change || stage.verb === 'where' || stage.verb === 'require') told.push(short(brief(stage.settings), 90));
    return told.filter(Boolean).join(' · ');
  };
  return h('ol', { class: 'funnel' }, steps.map(step => h('li', null,
    h('span', { class: 'step' }, h('button', { class: 'link', type: 'button', title: step.stage.name, onclick: () => open(step.at) }, step.stage.name.split('/').at(-1)), h('span', { class: 'soft small' }, ` ${step.stage.verb}`)),
    h('span', { class: 'track' }, step.stage.emitted !== null && h('i', { '--part': `${(step.stage.emitted / most) * 100}%` })),
    h('span', { class: 'wrap small' }, h('b', null, step.stage.emitted === null ? 'not known' : whole.format(step.stage.emitted)), h('span', { class: 'soft' }, [step.stage.chance && ', as many as were needed', why(step) && ` · ${why(step)}`])),
    step.same > 0 && h('span', { class: 'steps' }, `${count(step.same, 'more step')} without a change of number`))));
}

/** Stages in the timeline at most. */
const SPANS = 40;

function pipeline(overview, open) {
  const { stages, tables } = overview;
  const cell = value => (value === null || value === undefined ? '–' : whole.format(value));
  const table = grid(null, ['stage', 'verb', '#in', '#out', '#failed', '#calls', '#time', '#tokens in', '#tokens out'], stages.map((stage, at) => [
    h('button', { class: 'link', type: 'button', onclick: () => open(at) }, stage.name), stage.verb, cell(stage.read), cell(stage.emitted), cell(stage.failed), cell(stage.calls),
    time(stage.time?.took), cell(stage.time?.prompt_tokens || null), cell(stage.time?.answer_tokens || null),
  ]));
  const all = stages.filter(stage => stage.span).map(stage => ({ name: stage.name, kind: stage.kind, begun: stage.span[0], ended: stage.span[1] }));
  const least = all.map(span => span.ended - span.begun).sort((a, b) => b - a)[SPANS - 1] ?? 0;
  const spans = all.filter(span => span.ended - span.begun >= least).slice(0, SPANS);
  const pick = tables.length > 1 && h('div', { class: 'tools' }, h('label', null, 'Table ',
    h('select', { id: 'funnel', onchange: event => became.replaceChildren(funnel(overview, tables[Number(event.target.value)], open)) },
      tables.map((one, at) => h('option', { value: at }, stages[one.stage].name)))));
  const became = h('div', { class: 'card' }, tables.length > 0 && funnel(overview, tables[0], open));
  return [
    framed(overview, open),
    h('details', null, h('summary', null, `All ${count(stages.length, 'stage')} as a table`), table),
    spans.length > 0 && [h('h3', null, 'Timeline'), h('p', { class: 'soft small' }, 'Of the last run in which anything was done: from each stage’s first record to its end. What came from the cache is not in it.', spans.length < all.length && ` The ${spans.length} longest of ${all.length} stages.`), h('div', { class: 'frame card', tabindex: 0, role: 'group', 'aria-label': 'Timeline, which can be scrolled' }, timeline(spans))],
    tables.length > 0 && [h('h3', null, 'What became of the records'), pick, became],
  ];
}

const KEYS = 200;

/** One failed record, with what was asked about it. */
async function failed(overview, at) {
  const failure = overview.failures[at];
  const number_ = overview.failed_details[Math.floor(at / overview.failed_per)];
  const details = number_ === undefined ? null : await block(`block-${number_}`);
  const calls = details?.rows[at % overview.failed_per].calls ?? [];
  show('record', failure.key ?? 'a record', null,
    h('p', { class: 'note' }, `${overview.stages[failure.stage].name}: ${failure.why}`),
    calls.map(call => asked(overview, call, place => details.pool[place], [])),
    calls.length === 0 && h('p', { class: 'soft' }, 'Nothing is known of what was asked about it.'));
}

function failures(overview) {
  if (!overview.failed) return [h('p', { class: 'soft' }, 'No record failed.')];
  const groups = new Map();
  overview.failures.forEach((failure, at) => {
    const name = JSON.stringify([failure.stage, failure.kind, failure.why]);
    if (!groups.has(name)) groups.set(name, { ...failure, keys: [], n: 0 });
    const group = groups.get(name);
    group.n += 1;
    if (failure.key !== null) group.keys.push([failure.key, at]);
  });
  const rows = [...groups.values()].sort((a, b) => b.n - a.n);
  const keys = group => (group.keys.length === 0 ? h('span', { class: 'soft' }, 'left out')
    : h('details', null, h('summary', null, count(group.keys.length, 'key')), h('p', { class: 'mono wrap', dir: 'auto' }, group.keys.slice(0, KEYS).map(([key, at], place) => [place > 0 && ', ', h('button', { class: 'link', type: 'button', onclick: () => failed(overview, at) }, key || '(all)')]), group.keys.length > KEYS && ` and ${group.keys.length - KEYS} more`)));
  return [
    overview.failures.length < overview.failed && h('p', { class: 'soft' }, `The first ${whole.format(overview.failures.length)} of ${whole.format(overview.failed)}.`),
    grid(count(overview.failed, 'failed record'), ['#records', 'stage', 'what', 'why', 'which'], rows.map(group => [whole.format(group.n), overview.stages[group.stage].name, group.kind, h('span', { class: 'wrap' }, group.why), keys(group)])),
  ];
}

/** Lines of a list that are seen without asking for them. */
const MANY = 12;

function origin(overview) {
  const code = text => h('code', { class: 'wrap' }, text);
  const value = json => code(typeof json === 'string' ? json : JSON.stringify(json));
  const params = list => grid(null, ['param', 'value'], list.map(([name, json]) => [name, value(json)]));
  const own = overview.params.filter(([name]) => !name.includes('/'));
  const rest = overview.params.filter(([name]) => name.includes('/'));
  const folded = (title, much, made) => (much ? h('details', null, h('summary', null, title), made) : made);
  const files = (title, list) => list.length > 0 && [h('h3', null, title), folded(count(list.length, 'file'), list.length > MANY, grid(null, ['file', '#records', 'BLAKE3'], list.map(file => [h('span', { class: 'wrap' }, file.path), file.rows === null ? '–' : whole.format(file.rows), file.hash ? code(file.hash) : '–'])))];
  return [
    own.length > 0 && [h('h3', null, 'Params'), params(own)],
    rest.length > 0 && folded(`${count(rest.length, 'param')} of included pipelines`, true, params(rest)),
    overview.models.length > 0 && [h('h3', null, 'Models'), h('p', { class: 'soft small' }, 'As far as they decide answers: not where they are.'), folded(count(overview.models.length, 'model'), overview.models.length > MANY, grid(null, ['model', 'what decides its answers'], overview.models.map(model => [model.name, code(brief(model.identity))])))],
    files('Read', overview.inputs), files('Written', overview.outputs),
    h('h3', null, 'The pipeline’s files'),
    overview.sources.map(source => h('details', null, h('summary', null, source.path, ' ', h('span', { class: 'soft mono small' }, source.hash)), h('pre', { class: 'text' }, source.text))),
    overview.cite.length > 0 && [h('h3', null, 'To cite'), overview.cite.map(text => h('p', null, text))],
    h('p', { class: 'soft small' }, `Made by clue ${overview.version} of ${overview.file}. Hashes are cut to twelve digits.`),
  ];
}

/** One stage with all that is known of it. */
function stageDialog(overview, at) {
  const stage = overview.stages[at];
  const names = list => list.map(from => overview.stages[from].name).join(', ');
  const rows = [
    ['verb', stage.verb], stage.inputs.length && ['reads', names(stage.inputs)],
    ...stage.with.map(([name, from]) => [`with ${name}`, overview.stages[from].name]),
    stage.read !== null && ['records in', whole.format(stage.read)], stage.emitted !== null && ['records out', whole.format(stage.emitted)],
    stage.failed && ['failed', whole.format(stage.failed)], stage.calls !== null && ['calls', whole.format(stage.calls)],
    stage.missing && ['without an answer', whole.format(stage.missing)],
    stage.time && ['worked for', time(stage.time.took)],
    stage.time?.asked && ['asked then', `${count(stage.time.asked, 'call')}, ${count(stage.time.cached, 'more')} from the cache, ${whole.format(stage.time.prompt_tokens)} tokens in, ${whole.format(stage.time.answer_tokens)} out`],
    stage.sensitive && ['sensitive', 'its records come from data marked sensitive'],
    stage.content && ['hash of its output', stage.content],
  ].filter(Boolean);
  show('stage', stage.name, null,
    h('table', null, h('tbody', null, rows.map(([name, told]) => h('tr', null, h('th', { scope: 'row' }, name), h('td', { class: 'wrap' }, told))))),
    h('h3', null, 'Settings'), h('pre', { class: 'text' }, JSON.stringify(settings(stage.settings), null, 2)));
}
