// Elements and texts. Records hold any text: it only ever becomes text, never markup.

const SVG = 'http://www.w3.org/2000/svg';

/** Sets attributes: `on…` are listeners, `--…` style properties; null and false are left out. */
function dress(element, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name.startsWith('--')) element.style.setProperty(name, value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
}

function fill(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  dress(element, attributes);
  return fill(element, children);
}

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  dress(element, attributes);
  return fill(element, children);
}

/** Puts children in the place of what is there; what was unfolded, chosen and scrolled to stays so. */
function refill(element, children) {
  const folds = () => [...element.querySelectorAll('details')];
  const frames = () => [...element.querySelectorAll('.frame, .scroll')];
  const unfolded = new Set(folds().filter(fold => fold.open).map(fold => fold.firstChild?.textContent));
  const places = frames().map(frame => [frame.scrollLeft, frame.scrollTop]);
  const chosen = [...element.querySelectorAll('select[id]')].map(select => [select.id, select.value]);
  element.replaceChildren();
  fill(element, children);
  for (const fold of folds()) if (unfolded.has(fold.firstChild?.textContent)) fold.open = true;
  frames().forEach((frame, at) => places[at] && frame.scrollTo(...places[at]));
  for (const [id, value] of chosen) {
    const select = byId(id);
    if (!select || select.value === value || ![...select.options].some(option => option.value === value)) continue;
    select.value = value;
    select.dispatchEvent(new Event('change'));
  }
}

const byId = id => document.getElementById(id);

/** Says something to screen readers. */
function tell(text) {
  byId('told').textContent = text;
}

/** Characters that cannot be seen, or that turn the text after them round. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;

/** A text in which such characters show, and do nothing. */
function seen(text) {
  if (!UNSEEN.test(text)) return [text];
  const code = c => `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  return text.split(new RegExp(`(${UNSEEN.source})`)).map(part => (UNSEEN.test(part) ? h('span', { class: 'control', 'data-code': code(part) }, part) : part));
}

/** A text whose parts that were searched for are marked. */
function marked(text, words) {
  if (!words.length || !text) return seen(text);
  const lower = text.toLowerCase();
  // Where case changes the length, places do not fit: then nothing is marked.
  if (lower.length !== text.length) return seen(text);
  const parts = [];
  let at = 0;
  while (at < text.length && parts.length < 400) {
    let next = -1;
    let length = 0;
    for (const word of words) {
      const found = lower.indexOf(word, at);
      if (found >= 0 && (next < 0 || found < next || (found === next && word.length > length))) {
        next = found;
        length = word.length;
      }
    }
    if (next < 0) break;
    parts.push(seen(text.slice(at, next)), h('mark', null, text.slice(next, next + length)));
    at = next + length;
  }
  parts.push(seen(text.slice(at)));
  return parts;
}

/** A dialog with a title bar; what is in it is made anew each time. */
function show(id, title, tools, ...children) {
  const dialog = byId(id);
  const close = h('button', { type: 'button', onclick: () => dialog.close() }, 'Close ', h('kbd', { 'aria-hidden': 'true' }, 'Esc'));
  dialog.replaceChildren(
    h('div', { class: 'bar-top' }, h('h2', { id: `${id}-title`, dir: 'auto' }, title), tools, close),
    fill(h('div', { class: 'inside' }), children),
  );
  dialog.onkeydown = null;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  return dialog;
}
