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

/** Says in `clue view` whether the page is up to date. */
const live = h('span', { id: 'live', class: 'badge', role: 'status', hidden: true });

function showKeys() {
  show('keys', 'Keys', null, h('table', null, h('tbody', null, SHORTCUTS.map(([key, what]) => h('tr', null, h('th', { scope: 'row' }, h('kbd', null, key)), h('td', null, what))))));
}

function header(overview) {
  const { run, stages, tables } = overview;
  const sum = of => stages.reduce((all, stage) => all + (of(stage) ?? 0), 0);
  const fact = (value, name) => h('span', null, h('b', null, value), ` ${name}`);
  const calls = sum(stage => stage.calls);
  const tokens = [sum(stage => stage.time?.prompt_tokens), sum(stage => stage.time?.answer_tokens)];
  byId('top').replaceChildren(
    h('div', { class: 'head' },
      h('div', null, h('h1', { dir: 'auto' }, overview.name), overview.description && h('p', { class: 'soft', dir: 'auto' }, overview.description)),
      h('div', { class: 'tools only-screen' }, live,
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

/** The page: its sections in their order, each made anew when there is more to show. */
class Page {
  constructor() {
    this.sections = new Map();
    this.links = h('ul');
    byId('nav').append(this.links);
  }

  add(id) {
    const section = h('section', { id, 'aria-labelledby': `${id}-title`, tabindex: -1 });
    const link = h('a', { href: `#${id}` });
    const inside = h('div');
    const title = h('h2', { id: `${id}-title` });
    section.append(title, inside);
    byId('main').append(section);
    this.links.append(h('li', null, link));
    this.sections.set(id, { section, link, title, inside });
    // What is made under the hands of a reader takes their place in it away.
    section.addEventListener('focusout', () => setTimeout(() => this.late?.get(id)?.()));
  }

  /** Fills a section; none leaves it out. */
  fill(id, title, children) {
    const part = this.sections.get(id);
    part.title.textContent = part.link.textContent = title;
    part.section.hidden = part.link.hidden = children === null;
    refill(part.inside, [children]);
  }

  /** What is seen first. */
  first(overview) {
    this.overview = overview;
    const { activeElement: at } = document;
    header(overview);
    if (at?.id) byId(at.id)?.focus();
    this.fill('results', 'Results', results(overview));
  }

  /** What is seen later; a section in which somebody is busy once they have left it. */
  rest() {
    const { overview } = this;
    const open = at => stageDialog(overview, at);
    this.late = new Map();
    const later = (id, title, make) => {
      const act = () => {
        if (this.sections.get(id).section.contains(document.activeElement)) return;
        this.late.delete(id);
        this.fill(id, title, make());
      };
      this.late.set(id, act);
      act();
    };
    later('pipeline', 'Pipeline', () => pipeline(overview, open));
    later('failures', overview.failed ? `Failures (${whole.format(overview.failed)})` : 'Failures', () => failures(overview));
    later('origin', 'Configuration', () => origin(overview));
  }

  /** The records, which keep what was searched for. */
  async table() {
    const { overview } = this;
    if (!overview.tables.length) {
      this.fill('records', 'Records', [h('p', { class: 'soft' }, 'No stage asks, judges or scores: there is no table of records.')]);
      return;
    }
    if (this.records) {
      await this.records.renew(overview);
      return;
    }
    this.records = new Records(overview);
    this.fill('records', 'Records', this.records.section());
    await this.records.open(0);
  }

  /** All of it again. */
  async renew(overview) {
    this.first(overview);
    await this.table();
    this.rest();
  }
}

async function main() {
  root.dataset.theme = remembered() ?? '';
  if (!root.dataset.theme) delete root.dataset.theme;
  const page = new Page();
  for (const id of ['results', 'records', 'pipeline', 'failures', 'origin']) page.add(id);
  page.first(await block('overview'));
  await page.table();
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    if (event.target.matches?.('input, select, textarea')) return;
    const search = page.records?.search;
    const act = { '/': () => search?.isConnected && search.focus(), t: switchTheme, '?': showKeys }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  root.dataset.ready = 'true';
  performance.mark('clue-ready');
  // The rest once the first is painted.
  await new Promise(resolve => setTimeout(resolve));
  page.rest();
  watch([...page.sections.values()].map(part => part.link));
  root.dataset.whole = 'true';
  follow(page);
}

main().catch(error => {
  byId('main').append(h('p', { class: 'note', role: 'alert' }, `This page could not be opened: ${error.message}. It needs a browser of 2024 or later.`));
  throw error;
});
