/**
 * `node:http` by value; its types are imported as usual. An `import` of it reads all that it exports, and so loads
 * clients for HTTP/2, fetch and WebSocket: 16 MB in every process, which nothing here uses.
 */
export const { createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http')
