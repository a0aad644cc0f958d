// The workers' streams of rows. A browser opens six connections to an origin over all its tabs, so its tabs share one stream of each worker:
// this script runs once in a SharedWorker, and each tab talks to it by a port. Where there is no SharedWorker it runs in the page itself.

const streams = new Map(); // origin → {source (null while lost), lastId, ports}

function open(base) {
  const stream = streams.get(base);
  const tell = (message) => { for (const port of stream.ports) port.postMessage(message); };
  const after = stream.lastId;
  const source = new EventSource(`${base}/events/stream${after ? `?${new URLSearchParams({after})}` : ""}`);
  stream.source = source;
  stream.opened = {kind: "opened", resumed: Boolean(after)};
  source.onopen = () => tell(stream.opened);
  source.onmessage = ({data, lastEventId}) => {
    stream.lastId = lastEventId;
    tell({kind: "row", data});
  };
  source.onerror = () => {
    source.close(); // a tab's next status of the worker reopens it; the browser's own reconnect gives up at a 503
    stream.source = null;
    tell({kind: "lost"});
  };
}

// A tab at `port` says which origin's stream it wants, and again after each loss.
function serve(port) {
  port.onmessage = ({data: base}) => {
    if (!streams.has(base)) streams.set(base, {source: null, lastId: null, ports: new Set()});
    const stream = streams.get(base);
    const joins = !stream.ports.has(port);
    stream.ports.add(port);
    if (!stream.source) open(base);
    else if (stream.source.readyState === EventSource.OPEN) port.postMessage(joins ? {kind: "opened", resumed: false} : stream.opened);
  };
}

if ("onconnect" in globalThis) globalThis.onconnect = ({ports: [port]}) => serve(port);

// Subscribes to a worker's rows. `told`: opened(whether it goes on where it stopped), row(row), lost(). Returns a function that asks for the
// stream again after it was lost.
export function subscribe(base, {opened, row, lost}) {
  let port;
  const heard = ({data: message}) => {
    if (message.kind === "opened") opened(message.resumed);
    else if (message.kind === "row") row(JSON.parse(message.data));
    else lost();
  };
  const again = () => port.postMessage(base || location.origin);
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
