/**
 * Node's HTTP by value; its types are imported as usual. An `import` of `node:http` reads all that it exports, and so loads
 * fetch, WebSocket and HTTP/2, of which few servers need any. TLS is loaded where it is spoken. A server and its workers
 * start some ten ms sooner by both, and are several MB smaller; one over a bucket is not, as its client imports them.
 */
export const { createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http')

export const https = () => process.getBuiltinModule('node:https')
export const tls = () => process.getBuiltinModule('node:tls')
