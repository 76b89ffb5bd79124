// How the admin listener answers: headers, texts, JSON.

import type { ServerResponse } from 'node:http'

const TEXT = 'text/plain; charset=utf-8'
const JSON_TYPE = 'application/json; charset=utf-8'

/**
 * Every answer is about now, is read as what it says it is, and is shown in no other page. A page
 * may load what comes from here, and nothing else.
 */
const HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
}

/** Sets what all answers have. */
export function prepare(response: ServerResponse): void {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
  // A peer that goes meanwhile loses its answer.
  response.on('error', () => {})
}

export function say(response: ServerResponse, status: number, text: string): void {
  send(response, status, TEXT, `${text}\n`)
}

/** Refuses for now: the peer may come again. */
export function sayBusy(response: ServerResponse, text: string): void {
  response.setHeader('Retry-After', '1')
  say(response, 503, text)
}

export function sendJson(response: ServerResponse, value: object): void {
  send(response, 200, JSON_TYPE, JSON.stringify(value))
}

export function send(
  response: ServerResponse,
  status: number,
  type: string,
  content: string | Buffer,
): void {
  const body = Buffer.from(content)
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': body.length })
  // Node sends no body for HEAD.
  response.end(body)
}
