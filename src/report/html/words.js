// Numbers, times and settings in words.

const whole = new Intl.NumberFormat('en-US');

function count(n, noun) {
  return `${whole.format(n)} ${noun}${n === 1 ? '' : 's'}`;
}

/** A number as a table shows it. */
function number(value, percent = false) {
  if (typeof value !== 'number') return value === null || value === undefined ? '–' : String(value);
  if (percent) return (value * 100).toFixed(1);
  if (Number.isInteger(value)) return whole.format(value);
  const size = Math.abs(value);
  if (size >= 1000) return whole.format(Math.round(value));
  if (size < 0.0005) return value.toExponential(1);
  return value.toFixed(size >= 100 ? 1 : 3);
}

/** Milliseconds. */
function time(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return `${ms} ms`;
  if (ms < 9995) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
}

/** A moment, in UTC: the same page says the same everywhere. */
function moment(ms) {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function short(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** Settings without what is not set. */
function settings(json) {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) return json;
  const kept = Object.entries(json).filter(([, value]) => value !== null && value !== false);
  return Object.fromEntries(kept);
}

/** Settings in one line. */
function brief(json) {
  const told = settings(json);
  if (told === null || told === undefined) return '';
  if (typeof told !== 'object') return String(told);
  const part = value => (typeof value === 'string' ? value : JSON.stringify(value));
  const entries = Object.entries(told);
  if (entries.length === 1) return part(entries[0][1]);
  return entries.map(([name, value]) => `${name}: ${part(value)}`).join(', ');
}
