// One item: looked up by its key and, where that is allowed, deleted; and the flush of all.

import type { Hello, ItemFacts } from '../lib/admin/shapes.ts'
import { byId, isAccepted, make, setText } from './dom.ts'
import { age, brief, bytes, exact, keyText } from './figures.ts'
import { ask, reasonOf } from './live.ts'

const SIGNS = /%[\da-f]{2}/i

export class LookUpView {
  private readonly key = byId<HTMLInputElement>('look-up-key')
  private readonly withValue = byId<HTMLInputElement>('look-up-value')
  private readonly result = byId('look-up-result')
  private mayWrite = false

  constructor() {
    byId('look-up-form').addEventListener('submit', event => {
      event.preventDefault()
      void this.lookUp(encodeTyped(this.key.value))
    })
    byId('flush').addEventListener('click', () => void this.flush())
  }

  allow({ mayWrite, mayFlush }: Hello): void {
    this.mayWrite = mayWrite
    byId('flush-card').hidden = !mayFlush
  }

  /** Looks up a key that is encoded already, as those of lists are. */
  open(key: string): void {
    this.key.value = keyText(key)
    byId('look-up').scrollIntoView()
    this.key.focus({ preventScroll: true })
    void this.lookUp(key)
  }

  private async lookUp(key: string): Promise<void> {
    const value = this.withValue.checked ? '&value=1' : ''
    await this.tell(async () => this.showItem(await ask<ItemFacts>(`api/item?key=${key}${value}`)))
  }

  private showItem({ key, found, item }: ItemFacts): void {
    const title = make('p')
    title.append(make('b', '', keyText(key)), ` ${WORDS[found]}`)
    this.result.replaceChildren(title)
    if (item === undefined) return
    const facts = make('dl', 'facts')
    for (const [name, text] of factsOf(item)) {
      const fact = make('div')
      fact.append(make('dt', '', name), make('dd', '', text))
      facts.append(fact)
    }
    this.result.append(facts)
    if (item.value !== undefined) this.showValue(item.value, item.valueBytes)
    if (!this.mayWrite) return
    const button = make('button', 'danger below', 'Delete this item')
    button.type = 'button'
    button.addEventListener('click', () => void this.remove(key))
    this.result.append(button)
  }

  private showValue(base64: string, valueBytes: number): void {
    const raw = Uint8Array.from(atob(base64), char => char.charCodeAt(0))
    const text = textOf(raw)
    this.result.append(make('pre', '', text ?? hexOf(raw)))
    const kind = text === null ? 'not text, in hexadecimal' : 'as text'
    const part = raw.length < valueBytes ? `The first ${brief(bytes(raw.length))}, ` : 'All of it, '
    this.result.append(make('p', 'note', `${part}${kind}.`))
  }

  private async remove(key: string): Promise<void> {
    if (!(await confirm(`Delete “${keyText(key)}”?`, 'Delete'))) return
    await this.tell(async () => {
      const { deleted } = await ask<{ deleted: boolean }>(`api/item?key=${key}`, 'DELETE')
      const words = deleted ? ' was deleted.' : ' was gone already.'
      const line = make('p')
      line.append(make('b', '', keyText(key)), words)
      this.result.replaceChildren(line)
    })
    this.key.focus()
  }

  private async flush(): Promise<void> {
    if (!(await confirm('Make every item of this daemon invalid?', 'Flush'))) return
    const note = byId('flush-result')
    try {
      await ask('api/flush', 'POST')
      setText(note, `Flushed at ${new Date().toLocaleTimeString()}.`)
    } catch (error) {
      setText(note, reasonOf(error))
    }
  }

  private async tell(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.result.replaceChildren(make('p', 'bad', reasonOf(error)))
    }
  }
}

const WORDS = {
  found: 'is here.',
  not_found: 'is not here.',
  expired: 'has expired; its memory is not reclaimed yet.',
  flushed: 'was flushed; its memory is not reclaimed yet.',
}

function factsOf(item: NonNullable<ItemFacts['item']>): [string, string][] {
  const { valueBytes, totalBytes, ttlS, idleS, flags, cas, classId, list, arena } = item
  const marks = [
    item.fetched ? 'read since it was stored' : 'not read since it was stored',
    ...(item.stale ? ['stale'] : []),
    ...(item.claimed ? ['being recached'] : []),
  ]
  return [
    ['Value', bytes(valueBytes)],
    ['With header and key', bytes(totalBytes)],
    ['Expires', ttlS === null ? 'never' : `in ${age(ttlS)}`],
    ['Last used', `${age(idleS)} ago`],
    ['State', marks.join(', ')],
    ['Client flags', exact(flags)],
    ['CAS', cas],
    ['Slab class', `${classId}, ${list}`],
    ['Arena', String(arena)],
  ]
}

/** What was typed, percent-encoded; what looks encoded already is left so. */
function encodeTyped(text: string): string {
  return SIGNS.test(text)
    ? text.replace(/[^\w.~%-]/g, encodeURIComponent)
    : encodeURIComponent(text)
}

function textOf(raw: Uint8Array): string | null {
  try {
    // The end of what is shown may cut a character.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(raw, { stream: true })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: values with them are no text
    return /[\0-\x08\x0e-\x1f]/.test(text) ? null : text
  } catch {
    return null
  }
}

function hexOf(raw: Uint8Array): string {
  return Array.from(raw, byte => byte.toString(16).padStart(2, '0')).join(' ')
}

function confirm(question: string, yes: string): Promise<boolean> {
  setText(byId('confirm-text'), question)
  setText(byId('confirm-yes'), yes)
  return isAccepted(byId<HTMLDialogElement>('confirm'))
}
