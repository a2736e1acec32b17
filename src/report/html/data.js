// The data in the page: compressed, and decompressed when it is needed.

const decoded = new Map();
/** Where blocks come from, and what is done once the page is there; `clue view` has others. */
let source = id => decode(byId(id).textContent);
let follow = () => {};

/** The JSON of a block. */
function block(id) {
  if (!decoded.has(id)) decoded.set(id, source(id));
  return decoded.get(id);
}

async function decode(text) {
  const stream = new Blob([bytes(text)]).stream();
  const plain = stream.pipeThrough(new DecompressionStream('deflate-raw'));
  return JSON.parse(await new Response(plain).text());
}

function bytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const found = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) found[i] = binary.charCodeAt(i);
  return found;
}
