/** Bare fastify that answers one buffer of so many bytes: the floor below which nothing built on it can go. */
import { fastify } from 'fastify'

const bytes = Buffer.alloc(Number(process.argv[2]), 'x')
const server = fastify()
server.get('/x', (_request, reply) => {
  void reply.send(bytes)
})
console.log(await server.listen({ host: '127.0.0.1', port: 0 }))
