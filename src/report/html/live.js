// In `clue view` the data come from its server, and come again when there is more.

let version = null;

source = async id => {
  const answer = await fetch(id === 'overview' ? 'overview' : `blocks/${version}/${id.replace('block-', '')}`, { cache: 'no-store' });
  if (!answer.ok) throw new Error(`the server says ${answer.status}`);
  if (id === 'overview') version = answer.headers.get('clue-version');
  return answer.json();
};

/** Says whether what is seen is what is there. */
function tellLive(text, loud) {
  live.hidden = false;
  live.textContent = text;
  live.classList.toggle('loud', loud);
}

follow = page => {
  let busy = Promise.resolve();
  const renew = async wanted => {
    if (!wanted || wanted === version) return;
    decoded.clear();
    try {
      await page.renew(await block('overview'));
    } catch {
      // Gone on meanwhile, or gone: the next event tells.
      version = null;
    }
  };
  const events = new EventSource('events');
  events.addEventListener('state', event => {
    const { version: now, fault } = JSON.parse(event.data);
    busy = busy.then(() => renew(now)).then(() => tellLive(fault ?? 'live', Boolean(fault)));
  });
  events.onerror = () => tellLive('not connected: `clue view` has ended, or does not answer', true);
};
