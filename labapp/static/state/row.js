// Reads rows as the server writes them. Each keeps the text of its value, because JSON.parse rounds numbers beyond 2^53. Pure.

// A row and `valueText`. Only keys and the topic come before its `deliveries`, and a quote inside a JSON string is escaped.
export function rowOf(text) {
  const start = text.indexOf(',"value":', text.indexOf(',"deliveries":')) + ',"value":'.length;
  return {...JSON.parse(text), valueText: text.slice(start, text.lastIndexOf(',"stages":'))};
}

// The rows of an answer of `/events`: {"events":[row,row],"next":…}
export function rowsOf(text) {
  const rows = [];
  let depth = 0;
  let start = 0;
  for (const {0: token, index} of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}]/g)) {
    if (token === "{" && ++depth === 2) start = index;
    else if (token === "}" && depth-- === 2) rows.push(rowOf(text.slice(start, index + 1)));
  }
  return rows;
}
