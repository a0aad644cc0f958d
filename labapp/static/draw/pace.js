// When the page is painted: at most every PAINT_MS, and after GATHER_MS if the last painting is longer ago.

const PAINT_MS = 250;
const GATHER_MS = 35; // delay before painting, so that a click, its acknowledgement and its row are mostly painted together

// Returns a function that asks for a painting.
export function paced(paint) {
  let planned = false;
  let paintedAt = -Infinity;
  return () => {
    if (planned) return;
    planned = true;
    setTimeout(() => {
      planned = false;
      paintedAt = performance.now();
      paint();
    }, Math.max(GATHER_MS, paintedAt + PAINT_MS - performance.now()));
  };
}
