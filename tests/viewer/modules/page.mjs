/** What the tests of the page's modules share. */
const PAGE = new URL('../../../streaming/viewer/page/', import.meta.url);

/** A module of the page. */
export const page = (name) => import(new URL(name, PAGE));

/** The cutout of a disc, as decodeMask returns it. */
export function disc(cx, cy, radius) {
    const x = Math.ceil(cx - radius - 0.5);
    const y = Math.ceil(cy - radius - 0.5);
    const width = Math.floor(cx + radius - 0.5) - x + 1;
    const height = Math.floor(cy + radius - 0.5) - y + 1;
    const pixels = new Uint8Array(width * height);
    for (let row = 0; row < height; row += 1) {
        for (let column = 0; column < width; column += 1) {
            pixels[row * width + column] = Number(
                Math.hypot(x + column + 0.5 - cx, y + row + 0.5 - cy) < radius,
            );
        }
    }
    return { x, y, width, height, pixels };
}

/** COCO's compressed run-length code of runs, unset first. */
export function counts(runs) {
    let text = '';
    runs.forEach((run, index) => {
        let value = index > 2 ? run - runs[index - 2] : run;
        for (let more = true; more;) {
            let bits = value & 0x1f;
            value >>= 5;
            more = bits & 0x10 ? value !== -1 : value !== 0;
            if (more) {
                bits |= 0x20;
            }
            text += String.fromCharCode(bits + 48);
        }
    });
    return text;
}

/** The code of a cutout in a picture. */
export function codeOf({ x, y, width, height, pixels }, pictureHeight, pictureWidth) {
    const runs = [];
    let run = 0;
    let set = 0;
    for (let column = 0; column < pictureWidth; column += 1) {
        for (let row = 0; row < pictureHeight; row += 1) {
            const inside = column >= x && column < x + width && row >= y && row < y + height;
            const pixel = inside ? pixels[(row - y) * width + column - x] : 0;
            if (pixel !== set) {
                runs.push(run);
                run = 0;
                set = pixel;
            }
            run += 1;
        }
    }
    return counts([...runs, run]);
}

/** A grey picture with a pattern that is the same at each call, and a bright disc on it. */
export function scene(width, height, cx, cy, radius) {
    const levels = new Uint8Array(width * height);
    for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1) {
            const ground =
                90 + 25 * Math.sin(x * 0.31) * Math.cos(y * 0.23) + 12 * Math.sin((x * 7 + y * 13) * 0.37);
            const far = Math.hypot(x + 0.5 - cx, y + 0.5 - cy);
            const share = Math.min(1, Math.max(0, radius - far + 0.5));
            levels[y * width + x] = Math.round(ground + (225 - ground) * share);
        }
    }
    return { width, height, levels };
}
