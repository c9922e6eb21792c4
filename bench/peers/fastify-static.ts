/** @fastify/static over a folder: what people would serve files with. */
import serveStatic from '@fastify/static'
import { fastify } from 'fastify'

const server = fastify()
await server.register(serveStatic, { root: process.argv[2] ?? '.' })
console.log(await server.listen({ host: '127.0.0.1', port: 0 }))
