// The workers' streams of rows. A browser opens six connections to an origin over all its tabs, so its tabs share one stream of each worker:
// this script runs once in a SharedWorker, and each tab talks to it by a port. Where there is no SharedWorker it runs in the page itself.

const streams = new Map(); // origin → {reading, connected, lastId, ports}

// It is no EventSource, which can't send a token.
async function read(base, token) {
  const stream = streams.get(base);
  const tell = (message) => { for (const port of stream.ports) port.postMessage(message); };
  const after = stream.lastId;
  stream.reading = true;
  try {
    const response = await fetch(`${base}/events/stream${after ? `?${new URLSearchParams({after})}` : ""}`, {
      cache: "no-store", headers: token ? {Authorization: `Bearer ${token}`} : {},
    });
    if (response.ok) {
      stream.connected = {kind: "opened", resumed: Boolean(after)};
      tell(stream.connected);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = "", part = await reader.read(); !part.done; part = await reader.read()) {
        const messages = (rest + part.value).split("\n\n");
        rest = messages.pop();
        const rows = [];
        for (const message of messages) {
          const {id, event, data} = fields(message);
          if (id) stream.lastId = id;
          if (data && event !== "gap") rows.push(data); // a row, or, as the event `again`, one that was delivered again
        }
        if (rows.length) tell({kind: "rows", rows});
      }
    }
  } catch { /* the worker is gone */ }
  Object.assign(stream, {reading: false, connected: null});
  tell({kind: "lost"}); // a tab's next status of the worker reopens it
}

// A message of server-sent events. The worker's have one line a field.
const fields = (message) => Object.fromEntries(message.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));

// A tab at `port` says which origin's stream it wants, and again after each loss.
function serve(port) {
  port.onmessage = ({data: {base, token}}) => {
    if (!streams.has(base)) streams.set(base, {reading: false, connected: null, lastId: null, ports: new Set()});
    const stream = streams.get(base);
    const joins = !stream.ports.has(port);
    stream.ports.add(port);
    if (!stream.reading) read(base, token);
    else if (stream.connected) port.postMessage(joins ? {kind: "opened", resumed: false} : stream.connected);
  };
}

if ("onconnect" in globalThis) globalThis.onconnect = ({ports: [port]}) => serve(port);

// Subscribes to a worker's rows. `token()` is what reading has to bring, or null. `told`: opened(whether it goes on where it stopped),
// row(row as text), lost(). Returns a function that asks for the stream again after it was lost.
export function subscribe(base, token, {opened, row, lost}) {
  let port;
  const heard = ({data: message}) => {
    if (message.kind === "opened") opened(message.resumed);
    else if (message.kind === "rows") message.rows.forEach(row);
    else lost();
  };
  const again = () => port.postMessage({base: base || location.origin, token: token()});
  const here = () => {
    const channel = new MessageChannel();
    serve(channel.port2);
    port = channel.port1;
    port.onmessage = heard;
  };
  if (typeof SharedWorker === "undefined") {
    here();
  } else {
    const shared = new SharedWorker("/static/ask/streams.js", {type: "module", name: "streams"});
    ({port} = shared);
    port.onmessage = heard;
    shared.onerror = () => {
      here();
      again();
    };
  }
  again();
  return again;
}
