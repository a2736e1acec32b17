// Puts the page together: what is seen first, first.

const root = document.documentElement;

function isDark() {
  return (root.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
}

function remembered(theme) {
  // A file may have no memory of its own.
  try {
    if (theme === undefined) return localStorage.getItem('clue-theme');
    localStorage.setItem('clue-theme', theme);
  } catch { /* then not */ }
  return null;
}

function switchTheme() {
  root.dataset.theme = isDark() ? 'light' : 'dark';
  remembered(root.dataset.theme);
  byId('theme').setAttribute('aria-pressed', String(isDark()));
  tell(`${root.dataset.theme} theme`);
}

const SHORTCUTS = [
  ['/', 'search the records'], ['↑ ↓ PgUp PgDn Home End', 'move in the table'], ['Enter', 'open the record'],
  ['← → or k j', 'the record before or after, in an open one'], ['Esc', 'close'], ['t', 'light or dark'], ['?', 'these keys'],
];

function showKeys() {
  show('keys', 'Keys', null, h('table', null, h('tbody', null, SHORTCUTS.map(([key, what]) => h('tr', null, h('th', { scope: 'row' }, h('kbd', null, key)), h('td', null, what))))));
}

function header(overview) {
  const { run, stages, tables } = overview;
  const sum = of => stages.reduce((all, stage) => all + (of(stage) ?? 0), 0);
  const fact = (value, name) => h('span', null, h('b', null, value), ` ${name}`);
  const calls = sum(stage => stage.calls);
  const tokens = [sum(stage => stage.time?.prompt_tokens), sum(stage => stage.time?.answer_tokens)];
  byId('top').append(
    h('div', { class: 'head' },
      h('div', null, h('h1', { dir: 'auto' }, overview.name), overview.description && h('p', { class: 'soft', dir: 'auto' }, overview.description)),
      h('div', { class: 'tools only-screen' },
        h('button', { type: 'button', id: 'theme', 'aria-pressed': String(isDark()), onclick: switchTheme }, 'Dark ', h('kbd', { 'aria-hidden': 'true' }, 't')),
        h('button', { type: 'button', onclick: showKeys }, 'Keys ', h('kbd', { 'aria-hidden': 'true' }, '?')))),
    h('div', { class: 'facts' },
      fact(whole.format(stages.length), stages.length === 1 ? 'stage' : 'stages'),
      tables.length > 0 && fact(whole.format(tables.reduce((all, table) => all + table.total, 0)), `records in ${count(tables.length, 'table')}`),
      calls > 0 && fact(whole.format(calls), 'calls'),
      tokens[0] > 0 && fact(`${whole.format(tokens[0])} + ${whole.format(tokens[1])}`, 'tokens in + out'),
      overview.failed > 0 && fact(whole.format(overview.failed), 'failed'),
      run?.began && fact(moment(run.began), 'last run'),
      run?.took && fact(time(run.took), 'long'),
      run?.cost && fact(number(run.cost), 'cost'),
      run?.ended && h('span', null, 'ended: ', h('b', null, run.ended)),
      overview.hidden && h('span', { class: 'badge' }, 'sensitive texts left out'),
      overview.confidential && h('span', { class: 'badge loud' }, 'CONFIDENTIAL: holds texts of sensitive records')),
    ...overview.notes.map(text => h('p', { class: 'note' }, text)));
}

/** Marks the section that is read in the list of sections. */
function watch(links) {
  const seen = new IntersectionObserver(entries => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links) {
        if (link.hash === `#${entry.target.id}`) link.setAttribute('aria-current', 'true');
        else link.removeAttribute('aria-current');
      }
    }
  }, { rootMargin: '-15% 0px -75% 0px' });
  for (const section of document.querySelectorAll('main > section')) seen.observe(section);
}

async function main() {
  root.dataset.theme = remembered() ?? '';
  if (!root.dataset.theme) delete root.dataset.theme;
  const overview = await block('overview');
  header(overview);
  const links = [];
  const add = (id, title) => {
    const section = h('section', { id, 'aria-labelledby': `${id}-title`, tabindex: -1 }, h('h2', { id: `${id}-title` }, title));
    byId('main').append(section);
    links.push(h('a', { href: `#${id}` }, title));
    return section;
  };
  const open = at => stageDialog(overview, at);
  const found = results(overview);
  if (found) fill(add('results', 'Results'), [found]);
  const place = add('records', 'Records');
  const table = new Records(overview);
  if (overview.tables.length) fill(place, [table.section()]);
  else fill(place, [h('p', { class: 'soft' }, 'No stage asks, judges or scores: there is no table of records.')]);
  const later = [[add('pipeline', 'Pipeline'), () => pipeline(overview, open)], [add('failures', overview.failed ? `Failures (${whole.format(overview.failed)})` : 'Failures'), () => failures(overview)], [add('origin', 'Configuration'), () => origin(overview)]];
  byId('nav').append(h('ul', null, links.map(link => h('li', null, link))));
  if (overview.tables.length) await table.open(0);
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    if (event.target.matches?.('input, select, textarea')) return;
    const act = { '/': () => table.search.isConnected && table.search.focus(), t: switchTheme, '?': showKeys }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  root.dataset.ready = 'true';
  performance.mark('clue-ready');
  // The rest once the first is painted.
  await new Promise(resolve => setTimeout(resolve));
  for (const [section, make] of later) fill(section, [make()]);
  watch(links);
  root.dataset.whole = 'true';
}

main().catch(error => {
  byId('main').append(h('p', { class: 'note', role: 'alert' }, `This page could not be opened: ${error.message}. It needs a browser of 2024 or later.`));
  throw error;
});
