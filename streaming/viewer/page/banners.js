/** Banners over the page: what is wrong, for as long as it is, and for a moment that it is over. */

const GOOD_MS = 6000;

export class Banners {
    /** @param {HTMLElement} root */
    constructor(root) {
        this.root = root;
        this.shown = new Map();
    }

    /**
     * Shows a banner, or changes its words.
     * @param {string} key
     * @param {'bad'|'warn'|'good'|'note'} level
     * @param {string} text
     * @param {{label: string, act: () => void}|null} button
     */
    raise(key, level, text, button = null) {
        let banner = this.shown.get(key);
        if (
            banner &&
            (banner.dataset.level !== level || Boolean(banner.querySelector('button')) !== Boolean(button))
        ) {
            this.drop(key);
            banner = undefined;
        }
        if (!banner) {
            banner = document.createElement('div');
            banner.className = 'banner';
            banner.dataset.level = level;
            banner.dataset.key = key;
            banner.setAttribute('role', level === 'bad' ? 'alert' : 'status');
            const words = document.createElement('p');
            banner.append(words);
            if (button) {
                const press = document.createElement('button');
                press.type = 'button';
                press.textContent = button.label;
                press.addEventListener('click', button.act);
                banner.append(press);
            }
            this.root.append(banner);
            this.shown.set(key, banner);
        }
        const words = banner.firstElementChild;
        if (words.textContent !== text) {
            words.textContent = text;
        }
        clearTimeout(Number(banner.dataset.timer));
        if (level === 'good') {
            banner.dataset.timer = String(setTimeout(() => this.drop(key), GOOD_MS));
        }
    }

    drop(key) {
        const banner = this.shown.get(key);
        clearTimeout(Number(banner?.dataset.timer));
        banner?.remove();
        this.shown.delete(key);
    }

    /** Replaces a banner by a word that all is well again. */
    over(key, text) {
        if (this.shown.has(key)) {
            this.drop(key);
            this.raise(`${key}:over`, 'good', text);
        }
    }
}
