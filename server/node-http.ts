/**
 * Node's HTTP by value; its types are imported as usual. An `import` of `node:http` reads all that it exports, and so loads
 * clients for HTTP/2, fetch and WebSocket, which nothing here uses. TLS is loaded where it is spoken. Each server and its
 * workers start some ten ms sooner by either, and are several MB smaller.
 */
export const { createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http')

export const https = () => process.getBuiltinModule('node:https')
export const tls = () => process.getBuiltinModule('node:tls')
