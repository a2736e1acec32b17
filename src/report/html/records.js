// The records: a table of any length of which only what is seen is made, search, filters, and
// one record with all that is known of it.

const ROW = 30;

/** A call: what was asked, and answered. */
function asked(overview, call, text, words) {
  const stage = overview.stages[call.stage];
  const tokens = [call.prompt_tokens !== undefined && `${call.prompt_tokens} tokens in`, call.answer_tokens !== undefined && `${call.answer_tokens} out`, call.finish && `ended: ${call.finish}`].filter(Boolean).join(', ');
  const turn = (role, content, kind) => h('div', { class: `turn ${kind ?? ''}` }, h('div', { class: 'role' }, role), h('div', { class: 'text', dir: 'auto' }, content === '' ? h('span', { class: 'soft' }, 'empty') : marked(content, words)));
  const sent = brief(call.sent);
  return [
    h('h3', null, `${stage.name} `, h('span', { class: 'soft small' }, `${call.model}${tokens ? ` · ${tokens}` : ''}`)),
    h('details', { open: true }, h('summary', null, `Prompt (${count(call.turns.length, 'part')})`), call.turns.map(([role, place]) => turn(role, text(place))), sent && h('p', { class: 'soft small wrap' }, sent)),
    call.thinking !== undefined && h('details', null, h('summary', null, 'Thinking'), turn('thinking', text(call.thinking))),
    turn('answer', text(call.answer), 'answer'),
  ];
}

/** A record's life: the stages that it passed, with its keys where they changed, and where it went. */
function lived(overview, life, keys) {
  const name = at => overview.stages[at].name;
  const key = new Map(keys);
  const passed = life.stages.map((at, place) => [place > 0 && ' → ', name(at), key.has(place) && h('span', { class: 'soft mono', dir: 'auto' }, ` ${key.get(place)}`)]);
  const words = { written: 'written to', counted: 'counted in', passed: 'passed on by', 'left out': 'left out by' };
  const ends = life.ends.map(([at, what]) => `${words[what]} ${name(at)}`);
  return [
    h('h3', null, 'Life'),
    h('p', { class: 'small wrap' }, passed),
    ends.length > 0 && h('p', { class: 'small wrap' }, `Then ${ends.join(', ')}.`),
  ];
}

class Records {
  constructor(overview) {
    this.overview = overview;
    this.words = [];
    this.filters = new Map();
    this.sort = null;
    this.rows = [];
    this.chosen = 0;
    this.search = h('input', {
      type: 'search', id: 'search', placeholder: 'Search all fields', 'aria-label': 'Search records', autocomplete: 'off', spellcheck: 'false',
      oninput: () => this.later(), onkeydown: event => this.fromSearch(event),
    });
    this.told = h('span', { class: 'soft', role: 'status' });
    this.picker = h('span');
    this.menu = h('details');
    this.filtering = h('details');
    this.body = h('div', { class: 'body', role: 'rowgroup' });
    this.titles = h('div', { class: 'row titles', role: 'row' });
    this.sheet = h('div', {
      class: 'sheet', id: 'sheet', role: 'grid', tabindex: 0, 'aria-label': 'Records', 'aria-multiselectable': 'false',
      onscroll: () => this.draw(), onkeydown: event => this.onkey(event),
    }, h('div', { role: 'rowgroup', class: 'titled' }, this.titles), this.body);
    this.spreads = h('div', { class: 'grid fine' });
    this.about = h('p', { class: 'soft' });
    new ResizeObserver(() => this.draw()).observe(this.sheet);
  }

  get table() {
    return this.overview.tables[this.number];
  }

  section() {
    return [
      h('div', { class: 'tools' }, this.picker, this.search, h('button', { type: 'button', onclick: () => this.reset() }, 'Clear'), this.told),
      this.about, h('div', { class: 'choices only-screen' }, this.filtering, this.menu), this.sheet,
      h('p', { class: 'soft small only-screen' }, h('kbd', null, '/'), ' search  ', h('kbd', null, '↑'), ' ', h('kbd', null, '↓'), ' move  ', h('kbd', null, 'Enter'), ' open  ', h('kbd', null, '?'), ' all keys'),
      this.spreads,
    ];
  }

  /** Opens a table. */
  async open(number) {
    if (!await this.take(number)) return;
    this.filters.clear();
    this.sort = null;
    this.chosen = 0;
    this.visible = this.usual();
    this.makeFilters();
    this.makeMenu();
    this.lay();
  }

  /** The open table again, with what is there now: search, filters, order and place stay. */
  async renew(overview) {
    const { table: old, data } = this;
    const of = table => [this.overview.stages[table.stage].name, ...table.columns.map(column => [column.name, column.kind])].join('\n');
    const was = old && of(old);
    const key = data?.keys[this.rows[this.chosen]];
    this.overview = overview;
    const number = overview.tables.findIndex(table => of(table) === was);
    if (number < 0) {
      await this.open(0);
      return;
    }
    if (!await this.take(number)) return;
    if (!this.filters.size && !this.filtering.contains(document.activeElement)) this.makeFilters();
    this.lay();
    const place = this.rows.findIndex(row => this.data.keys[row] === key);
    if (place < 0) return;
    this.chosen = place;
    this.draw();
  }

  /** Gets the data of a table; false if another was asked for meanwhile. */
  async take(number) {
    this.number = number;
    const { overview } = this;
    const data = await block(`block-${this.table.block}`);
    if (this.number !== number || this.overview !== overview) return false;
    this.data = data;
    this.texts = null;
    return true;
  }

  makePicker() {
    const { tables, stages } = this.overview;
    const option = (table, at) => h('option', { value: at, selected: at === this.number }, `${stages[table.stage].name} (${whole.format(table.total)})`);
    const pick = () => h('label', null, 'Table ', h('select', { id: 'table', onchange: event => this.open(Number(event.target.value)) }, tables.map(option)));
    if (!this.picker.contains(document.activeElement)) this.picker.replaceChildren(pick());
    this.picker.hidden = tables.length < 2;
  }

  /** Makes everything around the rows, and the rows. */
  lay() {
    const { table } = this;
    const stage = this.overview.stages[table.stage];
    this.makePicker();
    const scorers = table.scorers.map(scorer => `${scorer.metric}${scorer.prediction ? ` of ${scorer.prediction}` : ''}${scorer.reference ? ` by ${scorer.reference}` : ''}`);
    fill(this.about, []).replaceChildren(
      `Stage ${stage.name}. `,
      scorers.length ? `Scored by ${[...new Set(scorers)].join('; ')}. ` : '',
      table.rows < table.total ? `The first ${whole.format(table.rows)} of ${whole.format(table.total)} records. ` : '',
      table.hidden ? 'Texts are left out, and keys are salted hashes: these records are sensitive.' : '');
    this.makeSpreads();
    this.makeTitles();
    this.apply();
  }

  /** The columns that are shown at first: what was judged, by what, and how. */
  usual() {
    const { columns, scorers } = this.table;
    const wanted = [];
    const add = at => at >= 0 && !wanted.includes(at) && wanted.push(at);
    const find = name => columns.findIndex(column => column.name === name);
    for (const scorer of scorers) {
      if (scorer.reference) add(find(scorer.reference));
      if (scorer.prediction) add(find(scorer.prediction));
    }
    columns.forEach((column, at) => column.kind === 'score' && wanted.length < 7 && add(at));
    const judged = scorers.some(scorer => find(scorer.prediction ?? '') >= 0);
    columns.forEach((column, at) => !judged && column.made !== null && wanted.length < 6 && add(at));
    // What says the same of every record says nothing.
    const varies = at => this.data.columns[at].some(value => value !== this.data.columns[at][0])
      && this.data.columns[at].some((value, row) => value !== this.data.keys[row]);
    columns.forEach((column, at) => wanted.length < 4 && varies(at) && add(at));
    columns.forEach((column, at) => wanted.length < 1 && add(at));
    return wanted.sort((a, b) => (columns[a].kind === 'score') - (columns[b].kind === 'score') || wanted.indexOf(a) - wanted.indexOf(b));
  }

  makeFilters() {
    const made = [];
    this.table.columns.forEach((column, at) => {
      const values = this.data.columns[at];
      if (column.kind === 'score' || column.kind === 'number') {
        const set = () => {
          const [from, to] = [low.value, high.value].map(text => (text === '' ? null : Number(text)));
          if (from === null && to === null) this.filters.delete(at);
          else this.filters.set(at, value => typeof value === 'number' && (from === null || value >= from) && (to === null || value <= to));
          this.apply();
        };
        const low = h('input', { type: 'number', step: 'any', id: `from-${at}`, placeholder: 'from', 'aria-label': `${column.name} from`, oninput: set });
        const high = h('input', { type: 'number', step: 'any', id: `to-${at}`, placeholder: 'to', 'aria-label': `${column.name} to`, oninput: set });
        made.push(h('fieldset', null, h('legend', null, column.name), low, high));
      } else if (column.kind === 'label' || column.kind === 'flag') {
        const counts = new Map();
        for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
        if (counts.size < 2) return;
        const options = [...counts.keys()].sort((a, b) => String(a).localeCompare(String(b)));
        const name = value => (value === null ? '(none)' : value === '' ? '(empty)' : String(value));
        made.push(h('label', null, column.name,
          h('select', {
            id: `filter-${at}`,
            onchange: event => {
              if (event.target.value === '') this.filters.delete(at);
              else {
                const wanted = options[Number(event.target.value)];
                this.filters.set(at, value => value === wanted);
              }
              this.apply();
            },
          }, h('option', { value: '' }, 'any'), options.map((value, place) => h('option', { value: place }, `${name(value)} (${counts.get(value)})`)))));
      }
    });
    const open = this.filtering.open;
    this.filtering.replaceChildren(h('summary', null, 'Filters'), h('div', { class: 'filters' }, made.length ? made : 'No column has few values or numbers.'));
    this.filtering.open = open;
  }

  makeMenu() {
    const boxes = this.table.columns.map((column, at) => h('label', null,
      h('input', {
        type: 'checkbox', checked: this.visible.includes(at),
        onchange: event => {
          if (event.target.checked) this.visible.push(at);
          else this.visible = this.visible.filter(other => other !== at);
          this.makeTitles();
          this.draw();
        },
      }), column.name));
    this.menu.replaceChildren(h('summary', null, 'Columns'), h('div', { class: 'filters' }, boxes));
  }

  makeSpreads() {
    const spread = this.table.columns.map((column, at) => [column, at]).filter(([column]) => column.spread);
    this.spreads.replaceChildren(...spread.map(([column, at]) => h('div', { class: 'card' },
      h('h3', null, column.name),
      h('p', { class: 'soft small' }, `mean ${number(column.spread.mean)}, ${count(column.spread.n, 'record')}${column.spread.missing ? `, ${column.spread.missing} without` : ''}`),
      histogram(column.name, column.spread, (from, to, last) => {
        this.filtering.open = true;
        byId(`from-${at}`).value = Number(from.toPrecision(12));
        byId(`to-${at}`).value = Number(to.toPrecision(12));
        // The upper edge belongs to the next bin.
        this.filters.set(at, value => typeof value === 'number' && value >= from && (last ? value <= to : value < to));
        this.apply();
        this.sheet.scrollIntoView({ block: 'center' });
      }))));
  }

  makeTitles() {
    const { columns } = this.table;
    const widths = this.visible.map(at => ({ score: '8.5rem', number: '7rem', flag: '5.5rem', label: '10rem' }[columns[at].kind] ?? 'minmax(14rem, 24rem)'));
    this.sheet.style.setProperty('--columns', `minmax(9rem, 13rem) ${widths.join(' ')}`);
    const title = (name, at, right) => {
      const sorted = this.sort?.at === at ? (this.sort.down ? 'descending' : 'ascending') : null;
      const arrow = sorted ? (this.sort.down ? ' ↓' : ' ↑') : '';
      return h('div', { role: 'columnheader', 'aria-sort': sorted, class: right && 'number' },
        h('button', { type: 'button', class: `plain ${right ? 'number' : ''}`, title: `Sort by ${name}`, onclick: () => this.sortBy(at) }, name, arrow));
    };
    this.titles.replaceChildren(title('key', -1, false), ...this.visible.map(at => title(columns[at].name, at, ['score', 'number'].includes(columns[at].kind))));
    this.sheet.setAttribute('aria-colcount', this.visible.length + 1);
  }

  sortBy(at) {
    if (this.sort?.at !== at) this.sort = { at, down: false };
    else if (!this.sort.down) this.sort.down = true;
    else this.sort = null;
    this.makeTitles();
    this.apply();
    tell(this.sort ? `sorted by ${at < 0 ? 'key' : this.table.columns[at].name}, ${this.sort.down ? 'descending' : 'ascending'}` : 'in the order of the run');
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.apply(), 60);
  }

  reset() {
    this.search.value = '';
    this.filters.clear();
    this.makeFilters();
    this.apply();
  }

  /** Finds the rows that are wanted, in the order that is wanted. */
  apply() {
    const { keys, columns } = this.data;
    this.words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (this.words.length && !this.texts) {
      const texts = columns.filter((_, at) => this.table.columns[at].kind !== 'score');
      this.texts = keys.map((key, row) => [key, ...texts.map(values => values[row] ?? '')].join('\u0000').toLowerCase());
    }
    const rows = [];
    for (let row = 0; row < keys.length; row += 1) {
      if (!this.words.every(word => this.texts[row].includes(word))) continue;
      let fits = true;
      for (const [at, test] of this.filters) fits &&= test(columns[at][row]);
      if (fits) rows.push(row);
    }
    if (this.sort) {
      const values = this.sort.at < 0 ? keys : columns[this.sort.at];
      const sign = this.sort.down ? -1 : 1;
      // What is not there comes last, whatever the direction.
      rows.sort((a, b) => {
        const [x, y] = [values[a], values[b]];
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), 'en', { numeric: true });
        return sign * order || a - b;
      });
    }
    const before = this.rows[this.chosen];
    this.rows = rows;
    this.chosen = Math.max(0, rows.indexOf(before));
    this.told.textContent = rows.length === keys.length ? count(keys.length, 'record') : `${whole.format(rows.length)} of ${count(keys.length, 'record')}`;
    this.body.style.height = `${rows.length * ROW}px`;
    this.sheet.style.setProperty('--tall', `${(Math.max(3, rows.length) + 1) * ROW + 20}px`);
    this.sheet.setAttribute('aria-rowcount', rows.length + 1);
    this.reveal();
    this.draw();
  }

  /** Makes the rows that are seen, and a few around. */
  draw() {
    if (!this.data) return;
    const top = this.sheet.scrollTop;
    const first = Math.max(0, Math.floor(top / ROW) - 6);
    const last = Math.min(this.rows.length, Math.ceil((top + (this.sheet.clientHeight || 600)) / ROW) + 6);
    const made = [];
    for (let place = first; place < last; place += 1) made.push(this.row(place));
    if (!this.rows.length) made.push(h('div', { class: 'none' }, this.data.keys.length ? 'No record fits.' : 'No records came here.'));
    this.body.replaceChildren(...made);
    this.sheet.setAttribute('aria-activedescendant', this.rows.length ? `row-${this.chosen}` : '');
  }

  row(place) {
    const row = this.rows[place];
    const { keys, columns } = this.data;
    const made = h('div', {
      class: 'row', role: 'row', id: `row-${place}`, 'aria-rowindex': place + 2, 'aria-selected': place === this.chosen ? 'true' : 'false',
      onclick: () => { this.choose(place); this.show(); },
    }, h('div', { role: 'gridcell', class: 'mono', dir: 'auto' }, marked(keys[row], this.words)));
    made.style.top = `${place * ROW}px`;
    for (const at of this.visible) made.append(this.cell(this.table.columns[at], columns[at][row]));
    return made;
  }

  cell(column, value) {
    if (value === null) return h('div', { role: 'gridcell', class: 'soft' }, '–');
    if (typeof value === 'number') {
      const { spread } = column;
      const part = spread && (value - spread.from) / (spread.to - spread.from);
      return h('div', { role: 'gridcell', class: 'number' },
        spread && h('span', { class: 'pill', 'aria-hidden': 'true' }, h('i', { '--part': `${Math.round(part * 100)}%` })), number(value));
    }
    const text = short(String(value), 160);
    return h('div', { role: 'gridcell', dir: 'auto' }, marked(text, this.words));
  }

  choose(place) {
    this.chosen = Math.max(0, Math.min(this.rows.length - 1, place));
    this.reveal();
    this.draw();
  }

  reveal() {
    const top = this.chosen * ROW;
    const seen = this.sheet.clientHeight - 2 * ROW;
    if (top < this.sheet.scrollTop) this.sheet.scrollTop = top;
    else if (seen > 0 && top > this.sheet.scrollTop + seen) this.sheet.scrollTop = top - seen;
  }

  fromSearch(event) {
    if (event.key === 'ArrowDown' || event.key === 'Enter') {
      event.preventDefault();
      clearTimeout(this.timer);
      this.apply();
      this.sheet.focus();
    } else if (event.key === 'Escape' && this.search.value === '') this.sheet.focus();
  }

  onkey(event) {
    if (event.target !== this.sheet || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.sheet.clientHeight / ROW) - 2);
    const to = { ArrowDown: this.chosen + 1, ArrowUp: this.chosen - 1, PageDown: this.chosen + page, PageUp: this.chosen - page, Home: 0, End: this.rows.length - 1 }[event.key];
    if (to !== undefined) this.choose(to);
    else if (event.key === 'Enter' && this.rows.length) this.show();
    else return;
    event.preventDefault();
  }

  /** Shows the chosen record. */
  async show() {
    const { table, data, overview } = this;
    const row = this.rows[this.chosen];
    if (row === undefined) return;
    const number_ = table.details[Math.floor(row / table.per)];
    const details = number_ === undefined ? null : await block(`block-${number_}`);
    const detail = details?.rows[row % table.per];
    const text = place => details.pool[place];
    const value = at => (detail?.long?.[at] !== undefined ? text(detail.long[at]) : data.columns[at][row]);
    const find = name => table.columns.findIndex(column => column.name === name);
    const step = by => h('button', { type: 'button', 'aria-label': by < 0 ? 'Previous record' : 'Next record', onclick: () => { this.choose(this.chosen + by); this.show(); } }, by < 0 ? '←' : '→');
    const parts = [];
    const scores = table.columns.map((column, at) => [column, value(at)]).filter(([column]) => column.kind === 'score');
    if (scores.length) parts.push(h('ul', { class: 'chips', 'aria-label': 'Scores' }, scores.map(([column, score]) => h('li', null, column.name, h('b', null, number(score))))));
    if (table.hidden) parts.push(h('p', { class: 'note' }, 'Texts of this record are left out: it comes from data marked sensitive.'));
    const pairs = new Map();
    for (const scorer of table.scorers) {
      const [reference, prediction] = [find(scorer.reference), find(scorer.prediction)];
      if (reference < 0 || prediction < 0 || table.hidden) continue;
      const name = `${reference} ${prediction}`;
      if (!pairs.has(name)) pairs.set(name, { reference, prediction, scorers: [] });
      pairs.get(name).scorers.push(scorer);
    }
    const seen = new Set();
    for (const { reference, prediction, scorers } of pairs.values()) {
      seen.add(reference).add(prediction);
      parts.push(compared(String(value(reference) ?? ''), String(value(prediction) ?? '')));
      parts.push(h('p', { class: 'soft small wrap' }, scorers.map(scorer => {
        const columns = scorer.columns.map(name => `${name} ${number(data.columns[find(name)]?.[row])}`).join(', ');
        const options = brief(scorer.options);
        return `${scorer.metric}: ${columns}${options ? ` (${options})` : ''}. `;
      })));
    }
    for (const call of detail?.calls ?? []) parts.push(asked(overview, call, text, this.words));
    if (detail?.life !== undefined) parts.push(lived(overview, table.lives[detail.life], detail.keys ?? []));
    const fields = table.columns.map((column, at) => [column, at]).filter(([column, at]) => column.kind !== 'score' && !seen.has(at));
    if (fields.length) {
      parts.push(h('h3', null, 'Fields'), h('table', { class: 'fields' }, h('tbody', null, fields.map(([column, at]) => {
        const shown = value(at);
        return h('tr', null, h('th', { scope: 'row' }, column.name), h('td', null, shown === null ? h('span', { class: 'soft' }, 'none') : h('div', { class: 'text', dir: 'auto' }, marked(String(shown), this.words))));
      }))));
    }
    const where = `${whole.format(this.chosen + 1)} of ${whole.format(this.rows.length)}`;
    const dialog = show('record', data.keys[row], [h('span', { class: 'soft' }, where), step(-1), step(1)], parts);
    dialog.onkeydown = event => {
      const by = { ArrowLeft: -1, ArrowRight: 1, k: -1, j: 1 }[event.key];
      if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.choose(this.chosen + by);
      this.show();
    };
    tell(`record ${where} of ${overview.name}`);
  }
}
