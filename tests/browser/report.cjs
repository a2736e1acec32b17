// Drives a report of 10,000 records in a real Chromium: search, filter, a record, the theme, all
// by keyboard; what it costs to open; what hostile records do (nothing); contrast and names.
//
//   npm install --no-save playwright-core       # anywhere; NODE_PATH says where
//   node tests/browser/report.cjs [CLUE] [FOLDER FOR SCREENSHOTS]
//
// Skipped with a word where there is no Chromium or no playwright-core. CHROMIUM names another.

'use strict';
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { clue, launched, shots, withFolder } = require('./browser.cjs');

const RECORDS = 10000;
/** Milliseconds from the start of loading until the table can be used. */
const MOST = 1000;
const HOSTILE = [
  '</script><script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">',
  '<!-- --> ]]> {{script}} ${window.hacked = 3} \u2028 \u202Eright to left\u202C \u0007 \uFEFF',
  'עברית עם English בפנים 👩‍⚕️🏥 e\u0301 ﷽',
  'wide'.repeat(4000),
];

/** A pipeline without any model, and its report. */
function made(folder) {
  const words = 'the patient was seen in clinic with mild chest pain and no fever after two days of rest'.split(' ');
  const lines = [];
  for (let n = 0; n < RECORDS; n += 1) {
    const text = Array.from({ length: 45 }, (_, at) => words[(n * 7 + at * at + (n >> (at % 9))) % words.length]).join(' ');
    const record = { id: `case-${n}`, text: `${text} number ${n}.`, kind: ['letter', 'report', 'note'][n % 3], truth: text.slice(0, 60 + (n % 50)), guess: text.slice(n % 40, 60 + (n % 90)) };
    if (n < HOSTILE.length) Object.assign(record, { text: HOSTILE[n], guess: HOSTILE[n], truth: `${HOSTILE[n]} more` });
    lines.push(JSON.stringify(record));
  }
  fs.writeFileSync(path.join(folder, 'cases.jsonl'), `${lines.join('\n')}\n`);
  fs.writeFileSync(path.join(folder, 'p.yaml'), `clue: 1
name: ten_thousand
description: Ten thousand records without any model
stages:
  cases:
    load: {path: cases.jsonl, key: id}
  some:
    from: cases
    where: "text != ''"
  answered:
    from: some
    set: {model: "'one' if kind == 'note' else 'two'", task: "'words'"}
  scored:
    from: answered
    score: {metric: rouge, prediction: guess, reference: truth, options: {types: [rouge1]}, into: {rouge1: rouge}}
  exact:
    from: scored
    score: {metric: exact_match, prediction: guess, reference: truth, into: {exact_match: exact}}
  means:
    from: exact
    stats: {by: [model, task], metrics: [rouge, exact], bootstrap: 200, seed: 1}
outputs:
  cases.out.jsonl: {from: exact, fields: [id, rouge]}
  means.txt: {from: means, format: table, show: true}
`);
  const run = words_ => execFileSync(clue, words_.split(' '), { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] }).toString();
  run('run p.yaml --yes -q');
  process.stdout.write(run('report p.yaml -o report.html'));
  const first = fs.readFileSync(path.join(folder, 'report.html'));
  run('report p.yaml -o again.html');
  assert(first.equals(fs.readFileSync(path.join(folder, 'again.html'))), 'the same cache gives the same bytes');
  return path.join(folder, 'report.html');
}

/** In the page: the contrast of every text that is seen, where it is too low. */
function lowContrast() {
  const channel = value => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const parse = color => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = color;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3] > 200) return color;
    }
    return [255, 255, 255, 255];
  };
  const low = new Set();
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest('svg, script, .unseen, .skip')) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...low];
}

/** In the page: controls that nobody could name. */
function nameless() {
  const controls = [...document.querySelectorAll('button, select, input, [role=grid], [role=img], dialog[open]')];
  return controls.filter(control => {
    const label = control.getAttribute('aria-label') || control.textContent.trim() || control.labels?.[0]?.textContent || control.getAttribute('aria-labelledby');
    return !label;
  }).map(control => control.outerHTML.slice(0, 80));
}

async function drive(page, file) {
  const told = [];
  page.on('console', message => ['error', 'warning'].includes(message.type()) && told.push(message.text()));
  page.on('pageerror', error => told.push(error.message));
  const asked = [];
  page.on('request', request => asked.push(request.url()));
  const times = [];
  for (let n = 0; n < 3; n += 1) {
    await page.goto(`file://${file}`);
    await page.waitForSelector('html[data-whole]');
    times.push(await page.evaluate(() => performance.getEntriesByName('clue-ready')[0].startTime));
  }
  console.log(`opens in ${times.map(time => Math.round(time)).join(', ')} ms (${(fs.statSync(file).size / 1e6).toFixed(1)} MB)`);
  assert(Math.min(...times) < MOST, 'opens in under a second');

  const status = () => page.textContent('#records [role=status]');
  const said = async text => {
    await page.waitForFunction(wanted => document.querySelector('#records [role=status]').textContent === wanted, text, { timeout: 3000 })
      .catch(async () => assert.fail(`expected ${text}, got ${await status()}`));
  };
  const focus = () => page.evaluate(() => document.activeElement.id);
  const open = () => page.evaluate(() => document.querySelector('dialog[open]')?.id ?? null);
  await said('10,000 records');
  assert(await page.locator('.body .row').count() < 60, 'only what is seen is made');

  // Search, move, open and close, without a mouse.
  await page.keyboard.press('/');
  assert.equal(await focus(), 'search');
  await page.keyboard.type('number 7777.');
  await said('1 of 10,000 records');
  await page.keyboard.press('Enter');
  assert.equal(await focus(), 'sheet');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#record[open]');
  assert.match(await page.textContent('#record-title'), /^case-7777$/);
  assert(await page.locator('#record mark').count() > 0, 'what was searched for is marked');
  assert(await page.locator('#record del').count() > 0, 'differences are marked');
  assert.match(await page.textContent('#record'), /Lifecases → some → answered → scored → exactThen .*counted in means/, 'its life is told');
  if (shots) await page.screenshot({ path: path.join(shots, 'record.png') });
  assert.deepEqual(await page.evaluate(nameless), []);
  await page.keyboard.press('Escape');
  assert.equal(await open(), null);
  assert.equal(await focus(), 'sheet');
  await page.keyboard.press('/');
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await said('10,000 records');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Home');
  for (let n = 0; n < 3; n += 1) await page.keyboard.press('ArrowDown');
  const chosen = () => page.textContent('.body [aria-selected=true] .mono');
  assert.equal(await chosen(), 'case-3');
  await page.keyboard.press('End');
  assert.equal(await chosen(), `case-${RECORDS - 1}`);
  assert.equal(await page.getAttribute('#sheet', 'aria-rowcount'), String(RECORDS + 1));
  await page.keyboard.press('Enter');
  await page.waitForSelector('#record[open]');
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction(() => document.getElementById('record-title').textContent === 'case-9998');
  await page.keyboard.press('Escape');

  // Hostile records are only text.
  await page.keyboard.press('Home');
  for (let n = 0; n < HOSTILE.length; n += 1) {
    await page.keyboard.press('Enter');
    await page.waitForFunction(id => document.getElementById('record-title').textContent === id, `case-${n}`);
    const texts = await page.locator('#record .text').allTextContents();
    assert(texts.includes(HOSTILE[n]), `record ${n} is shown as it is`);
    if (shots) await page.screenshot({ path: path.join(shots, `hostile-${n}.png`) });
    await page.keyboard.press('Escape');
    await page.keyboard.press('ArrowDown');
  }
  assert.equal(await page.evaluate(() => window.hacked), undefined);

  // Filters: a label, and a bin of a histogram; sorting.
  await page.click('summary:text-is("Filters")');
  await page.selectOption('#filter-2', { label: 'note (3333)' });
  await said('3,333 of 10,000 records');
  await page.click('button:text-is("Clear")');
  await said('10,000 records');
  await page.locator('svg .hit').nth(19).click();
  const [some] = (await status()).split(' ');
  assert(Number(some.replace(',', '')) < RECORDS, await status());
  await page.click('button:text-is("Clear")');
  await page.click('.titles button:has-text("rouge")');
  await page.click('.titles button:has-text("rouge")');
  assert.equal(await page.getAttribute('[aria-sort]', 'aria-sort'), 'descending');
  const values = await page.locator('.body .row .number').allTextContents();
  assert(Number(values[0]) >= Number(values.at(-2)), values.join(' '));

  // The theme, and the keys.
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.focus('#sheet');
  for (const theme of ['dark', 'light']) {
    const before = await paper();
    await page.keyboard.press('t');
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), theme);
    assert.notEqual(await paper(), before);
    assert.deepEqual(await page.evaluate(lowContrast), [], `contrast, ${theme}`);
    if (shots) await page.screenshot({ path: path.join(shots, `${theme}.png`), fullPage: true });
  }
  await page.keyboard.press('?');
  assert.equal(await open(), 'keys');
  await page.keyboard.press('Escape');
  assert.deepEqual(await page.evaluate(nameless), []);

  // A stage, from the table of stages.
  await page.click('summary:has-text("as a table")');
  await page.click('#pipeline td button:text-is("some")');
  assert.equal(await open(), 'stage');
  await page.keyboard.press('Escape');

  assert.deepEqual(told, [], 'nothing on the console');
  assert(asked.every(url => url === `file://${file}`), asked.join(' '));
}

withFolder('report', async folder => {
  const file = made(folder);
  await launched(page => drive(page, file));
});
