/** The server's sentences in the language of the page: found by the English they are written in. Pure. */

export type Sentences = Readonly<Record<string, string>>;

interface Pattern {
  fits: RegExp;
  /** Letters that are always the same: who has more of them is tried first. */
  fixed: number;
  text: string;
}

const PLACE = /\{(\d)\}/g;
/** What stands in a place is a sentence itself when it is known and has so many letters; shorter, it may be a name. */
const SENTENCE = 16;

export class Sayings {
  private patterns: Pattern[] | null = null;

  constructor(private readonly known: Sentences) {}

  /** The sentence in the page's language; undefined where there is none. What a sentence tells of its case (a name, a
   * number) stays as it is. */
  say(english: string): string | undefined {
    const plain = this.known[english];
    if (plain !== undefined) return plain;
    this.patterns ??= Object.entries(this.known).filter(([key]) => /\{\d\}/.test(key)).map(([key, text]) => pattern(key, text)).sort((a, b) => b.fixed - a.fixed);
    for (const { fits, text } of this.patterns) {
      const found = fits.exec(english);
      if (found) return text.replaceAll(PLACE, (_, place: string) => this.within(found.groups?.[`p${place}`] ?? ""));
    }
    return undefined;
  }

  private within(place: string): string {
    return place.length < SENTENCE || !place.includes(" ") ? place : (this.say(place) ?? place);
  }
}

function pattern(key: string, text: string): Pattern {
  const source = key
    .split(/(\{\d\})/)
    .map((part) => (/^\{\d\}$/.test(part) ? `(?<p${part[1]}>.+?)` : part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")))
    .join("");
  return { fits: new RegExp(`^${source}$`, "s"), fixed: key.replaceAll(PLACE, "").length, text };
}
