// Drives `clue view` in a real Chromium while a run goes on: records come, what was searched for
// and filtered stays, and the page tells when it is no longer up to date. See browser.cjs.

'use strict';
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { clue, launched, root, shots, withFolder } = require('./browser.cjs');

const RECORDS = 40;

/** A program of which the first line of output that fits is awaited. */
async function started(command, words, folder, fits) {
  const child = spawn(command, words, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise((found, lost) => {
    let text = '';
    child.stdout.on('data', some => {
      text += some;
      const match = text.match(fits);
      if (match) found(match);
    });
    child.on('exit', code => lost(new Error(`${command} ended with ${code}`)));
  });
  return [child, line];
}

function status(url, headers = {}) {
  return new Promise((found, lost) => {
    http.get(url, { headers }, answer => {
      answer.resume();
      found(answer.statusCode);
    }).on('error', lost);
  });
}

async function made(folder) {
  const cases = Array.from({ length: RECORDS }, (_, n) => JSON.stringify({ id: `case-${n}`, text: `Note number ${n}.`, truth: n % 2 ? 'yes' : 'no' }));
  fs.writeFileSync(path.join(folder, 'cases.jsonl'), `${cases.join('\n')}\n`);
  fs.writeFileSync(path.join(folder, 'q.j2'), '{% user %}{{ text }}{% enduser %}\n');
  const [server, [, port]] = await started('python3', ['-u', path.join(root, 'tests/stub/stub_llm.py'), '--port', '0', '--latency-ms', '120'], folder, /:(\d+)/);
  fs.writeFileSync(path.join(folder, 'p.yaml'), `clue: 1
name: seen_live
models:
  m: {url: "http://127.0.0.1:${port}/v1", id: m, concurrency: 1}
stages:
  cases:
    load: {path: cases.jsonl, key: id}
  answered:
    from: cases
    generate: {model: m, prompt: q.j2, into: said}
  scored:
    from: answered
    score: {metric: rouge, prediction: said, reference: truth, options: {types: [rouge1]}, into: {rouge1: rouge}}
outputs:
  said.jsonl: {from: scored, fields: [id, said, rouge]}
`);
  return server;
}

async function drive(page, folder, programs) {
  const told = [];
  page.on('console', message => ['error', 'warning'].includes(message.type()) && told.push(message.text()));
  page.on('pageerror', error => told.push(error.message));
  const [view, [, url]] = await started(clue, ['view', 'p.yaml'], folder, /view: (\S+)/);
  programs.push(view);
  const asked = [];
  page.on('request', request => asked.push(request.url()));
  const said = fits => page.waitForFunction(([text, exact]) => {
    const now = document.querySelector('#records [role=status]')?.textContent ?? '';
    return exact ? now === text : new RegExp(text).test(now);
  }, fits instanceof RegExp ? [fits.source, false] : [fits, true], { timeout: 20000 });

  // Before there is anything.
  await page.goto(url);
  await page.waitForSelector('html[data-whole]');
  await page.waitForFunction(() => document.getElementById('live').textContent === 'live');
  await said('0 records');
  assert.match(await page.textContent('#top'), /40 calls have no answer in the cache/);

  // Who does not know the address, or comes by another name, gets nothing.
  const { origin, host } = new URL(url);
  assert.equal(await status(`${origin}/`), 404);
  assert.equal(await status(`${origin}/${'0'.repeat(32)}/overview`), 404);
  assert.equal(await status(url, { host: 'evil.example' }), 403);
  assert.equal(await status(url, { host }), 200);

  // A run begins elsewhere.
  const run = spawn(clue, ['run', 'p.yaml', '--yes', '-q'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  programs.push(run);
  const ended = new Promise(resolve => run.on('exit', resolve));
  await said(/^[1-9]\d? records?$/);
  await page.keyboard.press('/');
  await page.keyboard.type('case-1');
  await said(/^\d+ of \d+ records$/);
  const some = Number((await page.textContent('#records [role=status]')).split(' of ')[1].split(' ')[0]);
  assert(some < RECORDS, 'the run is still under way');
  // As they come, the search stays, and so does the place where one types.
  await said(`11 of ${RECORDS} records`);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'search');
  assert.equal(await page.inputValue('#search'), 'case-1');
  assert.equal(await ended, 0);
  await page.waitForFunction(() => document.getElementById('top').textContent.includes('ended: done'));
  assert.doesNotMatch(await page.textContent('#top'), /no answer/);
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#record[open]');
  assert.match(await page.textContent('#record'), /Note number 1\b/);
  await page.keyboard.press('Escape');
  if (shots) await page.screenshot({ path: path.join(shots, 'view.png'), fullPage: true });

  // A changed prompt, and a broken pipeline.
  fs.writeFileSync(path.join(folder, 'q.j2'), '{% user %}Again: {{ text }}{% enduser %}\n');
  await said('0 of 0 records').catch(() => said('0 records'));
  const whole = fs.readFileSync(path.join(folder, 'p.yaml'), 'utf8');
  fs.writeFileSync(path.join(folder, 'p.yaml'), whole.replace('generate', 'generat'));
  await page.waitForFunction(() => document.getElementById('live').textContent.includes('has faults'));
  await page.waitForTimeout(3000);
  assert.match(await page.textContent('#live'), /has faults/);
  fs.writeFileSync(path.join(folder, 'p.yaml'), whole);
  await page.waitForFunction(() => document.getElementById('live').textContent === 'live');
  assert.deepEqual(told, [], 'nothing on the console');
  assert(asked.every(one => one.startsWith(url)), asked.join(' '));

  const gone = new Promise(resolve => view.on('exit', resolve));
  view.kill('SIGINT');
  assert.equal(await gone, 0);
  await page.waitForFunction(() => document.getElementById('live').textContent.includes('not connected'));
}

withFolder('view', async folder => {
  const programs = [await made(folder)];
  try {
    await launched(page => drive(page, folder, programs));
  } finally {
    for (const program of programs) program.kill();
  }
});
