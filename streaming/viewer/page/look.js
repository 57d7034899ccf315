/**
 * What is drawn of a track, in which colours and lengths: the same family as the annotated film
 * (streaming/overlay/look.py).
 */

/** Eight colours whose pairs stay apart for normal, red-, green- and blue-blind eyes; RGB, 0..255. */
export const PALETTE = Object.freeze([
    [99, 250, 255],
    [255, 111, 10],
    [255, 228, 92],
    [166, 135, 255],
    [0, 182, 154],
    [230, 160, 231],
    [92, 103, 238],
    [222, 52, 60],
]);
export const INK = Object.freeze([16, 18, 24]);
export const AMBER = Object.freeze([255, 196, 61]);
export const DIM = Object.freeze([176, 184, 196]);
export const WHITE = Object.freeze([255, 255, 255]);
export const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';

/** The text below which nobody reads on a screen, in CSS pixels. */
const SMALLEST_TEXT_PX = 12;

/**
 * The colour of a track, the same for ever and the same as in the annotated film.
 * @param {number} id of the track
 * @returns {readonly number[]} RGB, 0..255
 */
export function trackColour(id) {
    return PALETTE[((id % PALETTE.length) + PALETTE.length) % PALETTE.length];
}

/**
 * @param {readonly number[]} colour RGB, 0..255
 * @param {number} alpha 0..1
 * @returns {string} as CSS writes it
 */
export function css(colour, alpha = 1) {
    return `rgb(${colour[0]} ${colour[1]} ${colour[2]} / ${alpha})`;
}

/**
 * @param {readonly number[]} a RGB, 0..255
 * @param {readonly number[]} b RGB, 0..255
 * @param {number} share of b, 0..1
 * @returns {number[]} RGB, 0..255
 */
export function mix(a, b, share) {
    return a.map((value, index) => Math.round(value + (b[index] - value) * share));
}

/**
 * Lengths for a picture as it is shown: readable at 360 lines, not shouting at 1080.
 * @param {number} height of the picture on the screen, CSS pixels
 * @param {number} width likewise
 * @param {number} scale device pixels per CSS pixel
 * @returns {{text: number, pad: number, outline: number}} device pixels
 */
export function styleOf(height, width, scale = 1) {
    const short = Math.min(height, width);
    return {
        text: scale * Math.max(SMALLEST_TEXT_PX, 15 * (short / 360) ** 0.85),
        pad: scale * Math.max(4, short / 60),
        outline: scale * Math.max(1.5, short / 200),
    };
}

/**
 * Stream time as people write it: 0:07.4, 12:34.5, 1:02:03.4.
 * @param {number} t_s seconds
 * @returns {string}
 */
export function clockText(t_s) {
    let tenths = Math.floor(Math.abs(t_s) * 10 + 1e-6);
    const hours = Math.floor(tenths / 36000);
    tenths -= hours * 36000;
    const minutes = Math.floor(tenths / 600);
    tenths -= minutes * 600;
    const clock = hours ? `${hours}:${String(minutes).padStart(2, '0')}` : String(minutes);
    const seconds = String(Math.floor(tenths / 10)).padStart(2, '0');
    return `${t_s < 0 ? '-' : ''}${clock}:${seconds}.${tenths % 10}`;
}

/**
 * A name on one line: control characters and runs of blanks become single blanks.
 * @param {unknown} text whatever came
 * @param {number} longest characters that are kept
 * @returns {string}
 */
export function oneLine(text, longest = 200) {
    const line = String(text ?? '')
        .replace(/[\p{C}\p{Z}]+/gu, ' ')
        .trim();
    const signs = [...line];
    return signs.length <= longest ? line : `${signs.slice(0, longest).join('').trimEnd()}…`;
}

/**
 * What is heard and not seen, as the film says it.
 * @param {string} text what it is, '' where it is not known
 */
export function offscreenName(text) {
    return text ? `offscreen: ${text}` : 'offscreen sound';
}

/**
 * The same as part of a sentence.
 * @param {string} text what it is, '' where it is not known
 */
export function fromOffScreen(text) {
    return `${text || 'a sound'} from off-screen`;
}

/**
 * How a track is called where it has no name.
 * @param {{id: number, label: string|null}} track
 * @returns {string}
 */
export function nameOf(track) {
    return track.label ? oneLine(track.label) : `track ${track.id}`;
}
