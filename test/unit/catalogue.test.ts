/** The revisions of an app: what should run, where a rollback leads, what a pause holds up. */
import { describe, expect, it } from 'vitest';
import type { AppState, Outcome } from '../../src/core/model.ts';
import { lastDone } from '../../src/crdt/catalogue.ts';
import { WantedDocument } from '../../src/crdt/document.ts';
import { simService } from '../sim/makers.ts';

class Book {
  readonly doc = new WantedDocument(1);

  get app(): AppState {
    return this.doc.catalogue.app('shop')!;
  }

  deploy(image: string, state?: Outcome['state']): this {
    const spec = { name: 'shop', services: [simService('web', 1, { image })] };
    this.doc.change(() => void this.doc.catalogue.deploy(spec, { atMs: 0, by: 'test', note: image }));
    return state === undefined ? this : this.end(state);
  }

  end(state: Outcome['state']): this {
    const { revision, undone } = this.app;
    this.doc.change(() => this.doc.catalogue.conclude('shop', undone ?? revision, { state, atMs: 0 }));
    return this;
  }

  get runs(): string {
    return this.app.revision.spec.services[0]!.image!;
  }

  get refuge(): string | undefined {
    return lastDone(this.app.history, this.app.revision)?.note;
  }
}

describe('the revision that should run', () => {
  it('is the newest, or the last that was done where the newest is undone', () => {
    const book = new Book().deploy('a', 'done').deploy('b');
    expect(book.runs).toBe('b');
    book.end('undone');
    expect(book.runs).toBe('a');
    expect(book.app.undone?.seq).toBe(2);
    expect(book.deploy('c').runs).toBe('c');
    expect(book.app.undone).toBeUndefined();
  });

  it('begins anew where one that was undone is deployed again', () => {
    const book = new Book().deploy('a', 'done').deploy('b', 'undone').deploy('b');
    expect([book.runs, book.app.revision.outcome]).toEqual(['b', undefined]);
  });

  it('is through at once where it is deployed again while it runs', () => {
    expect(new Book().deploy('a', 'done').deploy('a').app.revision.outcome).toMatchObject({ seq: 2, state: 'done' });
  });

  it('stays where nothing was ever done', () => {
    expect(new Book().deploy('a', 'undone').runs).toBe('a');
  });

  it('of two that were judged at once is the same, whichever word comes last', () => {
    const [one, two] = [new Book(), new Book()];
    one.deploy('a', 'done').deploy('b');
    two.doc.apply(Uint8Array.from(Buffer.from(one.doc.whole(), 'base64url')));
    two.doc.reset(2);
    one.end('done');
    two.end('undone');
    const [ofOne, ofTwo] = [one, two].map(({ doc }) => Uint8Array.from(Buffer.from(doc.whole(), 'base64url')));
    one.doc.apply(ofTwo!);
    two.doc.apply(ofOne!);
    expect(one.runs).toBe(two.runs);
  });
});

describe('where a rollback leads', () => {
  it('is the newest that was done, also where it was picked again and is on trial', () => {
    const book = new Book().deploy('a', 'done').deploy('b').deploy('a').deploy('c');
    expect(book.refuge).toBe('a');
    expect(book.end('undone').runs).toBe('a');
  });

  it('is kept however many fail after it', () => {
    const book = new Book().deploy('a', 'done');
    for (let i = 0; i < 15; i++) book.deploy(`bad-${i}`, 'undone');
    expect(book.runs).toBe('a');
    expect(book.app.history).toHaveLength(10);
  });
});

describe('a pause', () => {
  it('of a person holds whatever is deployed, until it is resumed', () => {
    const book = new Book().deploy('a', 'done');
    book.doc.change(() => book.doc.catalogue.pause('shop', { by: 'ann', reason: 'paused by ann' }));
    expect(book.deploy('b').app.paused?.by).toBe('ann');
    book.doc.change(() => book.doc.catalogue.resume('shop'));
    expect([book.app.paused, book.app.insists]).toEqual([undefined, undefined]);
  });

  it('for a failure holds that revision alone, and who resumes it insists', () => {
    const book = new Book().deploy('a', 'done').deploy('b');
    const pause = (seq: number) =>
      book.doc.change(() => book.doc.catalogue.pause('shop', { by: '', reason: 'it fell', seq }));
    pause(2);
    expect(book.app.paused?.reason).toBe('it fell');
    expect(book.deploy('c').app.paused).toBeUndefined();
    // It comes late, of a revision that is no longer wanted.
    pause(2);
    expect(book.app.paused).toBeUndefined();
    pause(3);
    book.doc.change(() => book.doc.catalogue.resume('shop'));
    expect([book.app.paused, book.app.insists]).toEqual([undefined, true]);
  });
});
