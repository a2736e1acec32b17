// What the tests in a browser share: the program, a folder, a real Chromium.
//
//   npm install --no-save playwright-core       # anywhere; NODE_PATH says where
//   node tests/browser/NAME.cjs [CLUE] [FOLDER FOR SCREENSHOTS]
//
// Skipped with a word where there is no Chromium or no playwright-core. CHROMIUM names another.

'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const root = path.resolve(__dirname, '../..');
const clue = path.resolve(process.argv[2] ?? path.join(root, 'target/debug/clue'));
const shots = process.argv[3];

function skip(why) {
  // Where it has to run, that it does not is a failure.
  console.log(`skipped: ${why}`);
  process.exit(process.env.CLUE_TEST_BROWSER ? 1 : 0);
}

function chromium() {
  const known = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  return known.find(file => file && fs.existsSync(file)) ?? skip('there is no Chromium');
}

function playwright() {
  try {
    return require('playwright-core');
  } catch {
    return skip('there is no playwright-core');
  }
}

/** Does something in a folder that is gone afterwards, and ends the program. */
function withFolder(name, act) {
  playwright();
  chromium();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `clue-${name}-`));
  act(folder)
    .then(() => console.log(`${name}: passed`))
    .catch(error => {
      console.error(error);
      process.exitCode = 1;
    })
    .finally(() => fs.rmSync(folder, { recursive: true, force: true }));
}

/** Does something with a page of a browser that has just been started. */
async function launched(act) {
  const browser = await playwright().chromium.launch({ executablePath: chromium(), args: ['--no-sandbox'] });
  try {
    await act(await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' }));
  } finally {
    await browser.close();
  }
}

module.exports = { clue, launched, root, shots, withFolder };
