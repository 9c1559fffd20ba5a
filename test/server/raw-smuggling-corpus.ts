/** Requests as attackers send them through a proxy (after http_desync_guardian, HTTP-Garden and PortSwigger's lists). */

export interface Payload {
  readonly what: string
  /** Latin-1: each character is one byte. */
  readonly bytes: string
}

/** What an attacker hopes to have answered as a request of its own. */
const smuggled = 'GET /healthz HTTP/1.1\r\nHost: test\r\nX-Request-Id: smuggled\r\n\r\n'
const chunked = `0\r\n\r\n${smuggled}`

const first = (headers: string, body = '', line = 'PUT /v2/a/manifests/t HTTP/1.1') =>
  `${line}\r\nHost: test\r\nX-Request-Id: first\r\n${headers}\r\n${body}`

const te = 'Transfer-Encoding: chunked\r\n'
const cl = (length: number | string = smuggled.length) => `Content-Length: ${length}\r\n`

/** A body of which some believe that it is `chunked` and some that it is as long as it says. */
const bothWays: readonly (readonly [string, string])[] = [
  ['Content-Length before Transfer-Encoding', cl() + te],
  ['Transfer-Encoding before Content-Length', te + cl()],
  ['Content-Length: 0 beside Transfer-Encoding', cl(0) + te],
  ['Content-Length twice, equal', cl() + cl()],
  ['Content-Length twice, different', cl() + cl(0)],
  ['Content-Length twice, different, shorter first', cl(0) + cl()],
  ['Content-Length as a list of equals', cl(`${smuggled.length}, ${smuggled.length}`)],
  ['Content-Length as a list', cl(`0, ${smuggled.length}`)],
  ['Content-Length with a plus', cl(`+${smuggled.length}`)],
  ['Content-Length that is negative', cl('-1')],
  ['Content-Length in hex', cl('0x10')],
  ['Content-Length with a fraction', cl('1.0')],
  ['Content-Length with an exponent', cl('1e1')],
  ['Content-Length with an underscore', cl('1_0')],
  ['Content-Length with a space inside', cl('1 0')],
  ['Content-Length that is empty', cl('')],
  ['Content-Length past 64 bits', cl('18446744073709551617')],
  ['Content-Length in letters', cl('ten')],
  ['Content-Length with a vertical tab', cl('\v10')],
  ['Transfer-Encoding: xchunked', 'Transfer-Encoding: xchunked\r\n'],
  ['Transfer-Encoding: identity', 'Transfer-Encoding: identity\r\n'],
  ['Transfer-Encoding: gzip', 'Transfer-Encoding: gzip\r\n'],
  ['Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: gzip, chunked\r\n'],
  ['Transfer-Encoding: chunked, identity', 'Transfer-Encoding: chunked, identity\r\n'],
  ['Transfer-Encoding: identity, chunked', 'Transfer-Encoding: identity, chunked\r\n'],
  ['Transfer-Encoding: chunked, chunked', 'Transfer-Encoding: chunked, chunked\r\n'],
  ['Transfer-Encoding: chunked with a comma behind', 'Transfer-Encoding: chunked,\r\n'],
  ['Transfer-Encoding: chunked with a comma before', 'Transfer-Encoding: ,chunked\r\n'],
  ['Transfer-Encoding: chunked with a parameter', 'Transfer-Encoding: chunked;a=b\r\n'],
  ['Transfer-Encoding: "chunked" in quotes', 'Transfer-Encoding: "chunked"\r\n'],
  ['Transfer-Encoding with a vertical tab before', 'Transfer-Encoding: \vchunked\r\n'],
  ['Transfer-Encoding with a vertical tab behind', 'Transfer-Encoding: chunked\v\r\n'],
  ['Transfer-Encoding with a form feed', 'Transfer-Encoding: \fchunked\r\n'],
  ['Transfer-Encoding with a non-breaking space', 'Transfer-Encoding: \xa0chunked\r\n'],
  ['Transfer-Encoding with a NUL', 'Transfer-Encoding: chunked\0\r\n'],
  ['Transfer-Encoding that is empty', 'Transfer-Encoding:\r\n'],
  ['Transfer-Encoding: chunke', 'Transfer-Encoding: chunke\r\n'],
  ['Transfer-Encoding twice', te + te],
  ['Transfer-Encoding twice, the second one identity', `${te}Transfer-Encoding: identity\r\n`],
  ['Transfer-Encoding twice, the first one identity', `Transfer-Encoding: identity\r\n${te}`],
  ['Transfer-Encoding with a space before the colon', 'Transfer-Encoding : chunked\r\n'],
  ['Transfer-Encoding with a tab before the colon', 'Transfer-Encoding\t: chunked\r\n'],
  ['Transfer-Encoding on a folded line', 'Transfer-Encoding:\r\n chunked\r\n'],
  ['Transfer-Encoding behind a bare CR', 'X: y\rTransfer-Encoding: chunked\r\n'],
  ['Transfer-Encoding behind a bare LF', 'X: y\nTransfer-Encoding: chunked\r\n'],
  ['Content-Length beside Transfer-Encoding: xchunked', `${cl()}Transfer-Encoding: xchunked\r\n`],
]

/** Lines that are no headers, or are headers twice. */
const badHeaders: readonly (readonly [string, string])[] = [
  ['a line without a colon', 'Nothing\r\n'],
  ['a header without a name', ': x\r\n'],
  ['a space before a colon', 'X-A : b\r\n'],
  ['a space in a name', 'X A: b\r\n'],
  ['a folded line', 'X-A: b\r\n c\r\n'],
  ['a first header that begins with a space', ' X-A: b\r\n'],
  ['NUL in a value', 'X-A: b\0c\r\n'],
  ['NUL in a name', 'X\0A: b\r\n'],
  ['CR in a value', 'X-A: b\rc\r\n'],
  ['LF at the end of a line', 'X-A: b\n'],
  ['DEL in a value', 'X-A: \x7f\r\n'],
  ['a byte past ASCII in a name', 'X-\xe9: b\r\n'],
  ['Host twice', 'Host: test\r\n'],
  ['Host twice, different', 'Host: other\r\n'],
  ['Authorization twice', 'Authorization: Basic YTpi\r\nAuthorization: Basic Yzpk\r\n'],
  ['Content-Range twice', 'Content-Range: 0-1\r\nContent-Range: 2-3\r\n'],
  ['Content-Type twice', 'Content-Type: a/b\r\nContent-Type: c/d\r\n'],
]

const badChunks: readonly (readonly [string, string])[] = [
  ['a size that is not hex', `g\r\nabc\r\n${chunked}`],
  ['a size with 0x', `0x3\r\nabc\r\n${chunked}`],
  ['a size with a plus', `+3\r\nabc\r\n${chunked}`],
  ['a size with a minus', `-3\r\nabc\r\n${chunked}`],
  ['a size that is empty', `\r\nabc\r\n${chunked}`],
  ['a size past 64 bits', `10000000000000003\r\nabc\r\n${chunked}`],
  ['a size with a space before', ` 3\r\nabc\r\n${chunked}`],
  ['a size with an underscore', `0_3\r\nabc\r\n${chunked}`],
  ['a size that ends in LF', `3\nabc\r\n${chunked}`],
  ['a size that ends in CR', `3\rabc\r\n${chunked}`],
  ['data that is longer than its size', `3\r\nabcd\r\n${chunked}`],
  ['data that ends in LF', `3\r\nabc\n${chunked}`],
  ['an extension that ends in LF', `3;a\nabc\r\n${chunked}`],
  ['an extension with CR inside', `3;a\rb\r\nabc\r\n${chunked}`],
  ['an extension with NUL', `3;a\0\r\nabc\r\n${chunked}`],
  ['an end without its last line', `0\r\n${smuggled}`],
  ['a trailer that says Content-Length', `2\r\n{}\r\n0\r\n${cl()}\r\n${smuggled}`],
  ['a trailer that ends in LF', `0\r\nA: b\n\r\n${smuggled}`],
]

const badLines: readonly (readonly [string, string])[] = [
  ['HTTP/1.1 without Host', 'GET /v2/ HTTP/1.1\r\n\r\n'],
  ['HTTP/1.0 with Transfer-Encoding', `PUT /v2/a/manifests/t HTTP/1.0\r\nHost: test\r\n${te}\r\n${chunked}`],
  [
    'HTTP/1.0 with Transfer-Encoding, kept alive',
    `PUT /v2/a/manifests/t HTTP/1.0\r\nConnection: keep-alive\r\n${te}\r\n${chunked}`,
  ],
  ['HTTP/2.0', 'GET /v2/ HTTP/2.0\r\nHost: test\r\n\r\n'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['HTTP/1.2', 'GET /v2/ HTTP/1.2\r\nHost: test\r\n\r\n'],
  ['HTTP/01.1', 'GET /v2/ HTTP/01.1\r\nHost: test\r\n\r\n'],
  ['http/1.1', 'GET /v2/ http/1.1\r\nHost: test\r\n\r\n'],
  ['a request line that ends in LF', 'GET /v2/ HTTP/1.1\nHost: test\r\n\r\n'],
  ['a request line that ends in CR', 'GET /v2/ HTTP/1.1\rHost: test\r\n\r\n'],
  ['a space in the target', 'GET /v2/ /x HTTP/1.1\r\nHost: test\r\n\r\n'],
  ['a tab in the request line', 'GET\t/v2/ HTTP/1.1\r\nHost: test\r\n\r\n'],
  ['NUL in the target', 'GET /v2/\0 HTTP/1.1\r\nHost: test\r\n\r\n'],
  ['a method that nobody knows', 'GETT /v2/ HTTP/1.1\r\nHost: test\r\n\r\n'],
  ['a method in lower case', 'get /v2/ HTTP/1.1\r\nHost: test\r\n\r\n'],
  ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
]

const named =
  (bytes: (body: string) => string) =>
  ([what, text]: readonly [string, string]) => ({
    what,
    bytes: bytes(text),
  })

/** To be refused, whatever comes behind. */
export const ambiguous: readonly Payload[] = [
  ...bothWays.map(named(headers => first(headers, chunked))),
  ...badHeaders.map(named(headers => first(headers, '', 'GET /v2/ HTTP/1.1') + smuggled)),
  ...badChunks.map(named(body => first(te, body))),
  { what: 'a chunk with an extension', bytes: first(te, `2;a="b"\r\n{}\r\n0;c\r\n\r\n`) },
  ...badLines.map(named(text => text)),
]

/** The status is that of the answer to it. */
export type OddPayload = Payload & { readonly status: number }

/** Bodies that nobody reads: the connection ends behind the answer. */
export const unwanted: readonly OddPayload[] = [
  { what: 'Content-Length on GET', status: 200, bytes: first(cl(), smuggled, 'GET /v2/ HTTP/1.1') },
  {
    what: 'a chunked body on GET',
    status: 200,
    bytes: first(te, `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`, 'GET /v2/ HTTP/1.1'),
  },
  {
    what: 'Content-Length on DELETE',
    status: 404,
    bytes: first(cl(), smuggled, 'DELETE /v2/a/manifests/t HTTP/1.1'),
  },
]

/** To be answered once each, in the way that the standard gives. */
export const tolerated: readonly OddPayload[] = [
  {
    what: 'Content-Length with zeros before',
    status: 400,
    bytes: first(cl(`000${smuggled.length}`), smuggled),
  },
  {
    what: 'Content-Length with spaces around',
    status: 400,
    bytes: first(cl(`  ${smuggled.length} `), smuggled),
  },
  {
    what: 'Transfer-Encoding: CHUNKED',
    status: 400,
    bytes: first('Transfer-Encoding: CHUNKED\r\n', '2\r\n{}\r\n0\r\n\r\n'),
  },
  {
    what: 'Transfer-Encoding behind a tab',
    status: 400,
    bytes: first('Transfer-Encoding:\tchunked\r\n', '2\r\n{}\r\n0\r\n\r\n'),
  },
  { what: 'empty lines before', status: 200, bytes: `\r\n\r\n${first('', '', 'GET /v2/ HTTP/1.1')}` },
  { what: 'a target in absolute form', status: 200, bytes: first('', '', 'GET http://test/v2/ HTTP/1.1') },
  {
    what: 'a target in absolute form that names another host',
    status: 200,
    bytes: first('', '', 'GET http://other/v2/ HTTP/1.1'),
  },
  {
    what: 'a target in absolute form without a path',
    status: 404,
    bytes: first('', '', 'GET http://test HTTP/1.1'),
  },
  { what: 'the target *', status: 404, bytes: first('', '', 'OPTIONS * HTTP/1.1') },
  {
    what: 'Connection: Content-Length',
    status: 400,
    bytes: first(`Connection: Content-Length\r\n${cl(2)}`, '{}'),
  },
]
