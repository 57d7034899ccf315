/** The words that objects may be called: shown with how often each was seen, and changed by typing. */
import { oneLine } from './look.js';

/** Limits of the pipeline (docs/vocabulary.md). */
export const MOST_WORDS = 5000;
export const LONGEST_WORD = 100;
const MOST_SHOWN = 300;

/**
 * The words in a text: between commas, semicolons, tabs or line ends; a dash, number or quotes around them as
 * lists have it are taken off; of spellings that differ only in case the first stays.
 * @param {string} text
 * @returns {string[]}
 */
export function wordsIn(text) {
    const words = text.split(/[,;\n\r\t]+/).map((part) =>
        oneLine(part, 10 * LONGEST_WORD)
            .replace(/^(?:[-*•]|\d+[.)])\s+/, '')
            .replace(/^["'“”](.*)["'“”]$/, '$1')
            .trim(),
    );
    return distinct(words.filter(Boolean));
}

/**
 * @param {string[]} words
 * @returns {string[]} the same, each once whatever its case
 */
export function distinct(words) {
    const seen = new Map();
    for (const word of words) {
        const key = word.toLowerCase();
        if (!seen.has(key)) {
            seen.set(key, word);
        }
    }
    return [...seen.values()];
}

/**
 * What is wrong with a list, in one line.
 * @param {string[]} words
 * @returns {string} empty where nothing is
 */
export function complaintAbout(words) {
    if (!words.length) {
        return 'A vocabulary needs at least one word.';
    }
    if (words.length > MOST_WORDS) {
        return `These are ${words.length} words; at most ${MOST_WORDS} can be used at once.`;
    }
    const long = words.find((word) => [...word].length > LONGEST_WORD);
    return long ? `“${oneLine(long, 40)}” is longer than ${LONGEST_WORD} characters.` : '';
}

export class Vocabulary {
    /**
     * @param {HTMLElement} root `#vocabulary` of index.html
     * @param {(words: string[]) => Promise<void>} send rejects with what the pipeline said
     */
    constructor(root, send) {
        const find = (selector) => root.querySelector(selector);
        this.root = root;
        this.send = send;
        this.input = find('#words-input');
        this.list = find('#words-list');
        this.count = find('#words-count');
        this.say = find('#words-say');
        this.editor = find('#words-editor');
        this.text = find('#words-text');
        this.presets = find('#words-presets');
        this.undo = find('#words-undo');
        this.more = find('#words-more');
        this.words = [];
        this.seen = {};
        this.before = null;
        this.revision = null;
        this.shown = '';
        find('#words-form').addEventListener('submit', (event) => {
            event.preventDefault();
            this.#add();
        });
        this.input.addEventListener('paste', (event) => this.#paste(event));
        find('#words-edit').addEventListener('click', () => this.#edit());
        find('#words-cancel').addEventListener('click', () => this.#close());
        find('#words-use').addEventListener('click', () => this.#use());
        this.text.addEventListener('keydown', (event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
                this.#use();
            } else if (event.key === 'Escape') {
                event.stopPropagation();
                this.#close();
            }
        });
        this.undo.addEventListener('click', () => this.before && this.change(this.before));
    }

    /**
     * @param {{revision: number, words: string[]}|undefined} vocabulary
     * @param {{name: string, words: string[]}[]} presets
     */
    begin(vocabulary, presets) {
        this.presets.replaceChildren();
        for (const preset of presets) {
            const words = Array.isArray(preset.words) ? preset.words.map(String) : [];
            const button = document.createElement('button');
            button.type = 'button';
            button.className = 'preset';
            button.textContent = `${presetName(preset.name)} (${words.length})`;
            button.addEventListener('click', () => this.change(words));
            this.presets.append(button);
        }
        if (vocabulary) {
            this.set(vocabulary.revision, vocabulary.words);
        }
    }

    /**
     * @param {number} revision
     * @param {string[]} words
     * @param {Record<string, number>|undefined} seen how many results named a track so
     */
    set(revision, words, seen) {
        if (Array.isArray(words)) {
            this.words = words.map(String);
            this.revision = revision;
        }
        if (seen && typeof seen === 'object') {
            this.seen = seen;
        }
        this.#draw();
    }

    /**
     * Asks for other words.
     * @param {string[]} words
     */
    async change(words) {
        const complaint = complaintAbout(words);
        if (complaint) {
            this.#tell(complaint, 'bad');
            return;
        }
        const before = this.words;
        this.root.dataset.busy = 'true';
        this.#tell(words.length > 200 ? 'Sending; many new words take a while …' : 'Sending …');
        try {
            await this.send(words);
            this.before = before;
            this.undo.hidden = false;
            this.#tell(`In use: ${words.length === 1 ? 'one word' : `${words.length} words`}.`, 'good');
        } catch (error) {
            this.#tell(`The words were not taken: ${error.message}.`.replace(/\.\.$/, '.'), 'bad');
        } finally {
            this.root.dataset.busy = 'false';
        }
    }

    focus() {
        this.input.focus();
    }

    #tell(text, level = '') {
        this.say.textContent = text;
        this.say.dataset.level = level;
    }

    #add() {
        const typed = wordsIn(this.input.value);
        if (!typed.length) {
            return;
        }
        const words = distinct([...this.words, ...typed]);
        this.input.value = '';
        if (words.length === this.words.length) {
            this.#tell('That is in the list already.');
            return;
        }
        this.change(words);
    }

    /** A list that is pasted into the line goes to the editor, where it can be looked at first. */
    #paste(event) {
        const text = event.clipboardData?.getData('text') ?? '';
        const words = wordsIn(text);
        if (words.length > 1) {
            event.preventDefault();
            this.#edit(words);
            this.#tell(`${words.length} words from the clipboard: use them, or change them first.`);
        }
    }

    #edit(words = this.words) {
        this.editor.hidden = false;
        this.list.hidden = this.more.hidden = true;
        this.text.value = words.join('\n');
        this.text.focus();
    }

    #close() {
        this.editor.hidden = true;
        this.list.hidden = false;
        this.#draw();
        this.input.focus();
    }

    #use() {
        const words = wordsIn(this.text.value);
        if (complaintAbout(words)) {
            this.#tell(complaintAbout(words), 'bad');
            return;
        }
        this.#close();
        this.change(words);
    }

    #draw() {
        this.count.textContent = String(this.words.length);
        const shown = this.words.slice(0, MOST_SHOWN);
        const key = shown.join('\n');
        if (key !== this.shown) {
            this.shown = key;
            this.list.replaceChildren(...shown.map((word) => this.#item(word)));
        }
        const most = Math.max(1, ...shown.map((word) => this.#seen(word)));
        [...this.list.children].forEach((item, index) => {
            const seen = this.#seen(shown[index]);
            const count = item.querySelector('.word-count');
            const text = seen ? String(seen) : '';
            if (count.textContent !== text) {
                count.textContent = text;
                count.setAttribute('aria-label', seen ? `seen ${seen} times` : 'not seen yet');
            }
            item.dataset.seen = String(seen > 0);
            item.style.setProperty('--share', String(seen / most));
        });
        const left = this.words.length - shown.length;
        this.more.hidden = left <= 0 || !this.editor.hidden;
        this.more.textContent = left > 0 ? `and ${left} more: edit the list to see them` : '';
    }

    #seen(word) {
        const count = Object.hasOwn(this.seen, word) ? this.seen[word] : 0;
        return Number.isFinite(count) ? count : 0;
    }

    #item(word) {
        const item = document.createElement('li');
        const name = document.createElement('span');
        name.className = 'word-name';
        name.textContent = word;
        name.title = word;
        const count = document.createElement('span');
        count.className = 'word-count';
        const remove = document.createElement('button');
        remove.type = 'button';
        remove.className = 'word-remove';
        remove.setAttribute('aria-label', `Remove ${word}`);
        remove.textContent = '×';
        remove.addEventListener('click', () => this.change(this.words.filter((one) => one !== word)));
        item.append(name, count, remove);
        return item;
    }
}

function presetName(name) {
    return { 'avsbench-ov': 'AVSBench-OV', audioset: 'AudioSet nouns' }[name] ?? oneLine(name, 40);
}
