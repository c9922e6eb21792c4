/**
 * A connection on which nothing moves is given up: a body that has stopped to come, an answer that nobody takes, a
 * client that asks for nothing more. Not so while a whole request is here and its answer has not begun: then it is the
 * depot that lets the client wait, and a commit of millions may take its time.
 *
 * It also knows what is under way, for a node that is about to go.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { failure } from '../../model/errors.ts'
import { answerBare, type Stamp } from '../bare-answer.ts'

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

export class IdleSockets {
  /** Of each connection those whose answer is not out yet, oldest first: answers keep the order of their requests. */
  readonly #open = new WeakMap<Socket, Exchange[]>()
  readonly #sockets = new Set<Socket>()

  note(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const open = this.#open.get(socket)
    if (open === undefined) this.#open.set(socket, [{ request, response }])
    else {
      dropFinished(open)
      open.push({ request, response })
    }
  }

  /** Ends connections on which nothing has moved for `idleMs`. */
  watch(server: Server, idleMs: number, stamp: () => Stamp): void {
    server.timeout = idleMs
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on('timeout', (socket: Socket) => {
      const oldest = this.#open.get(socket)?.find(isUnderWay)
      if (oldest === undefined || oldest.response.headersSent) socket.destroy()
      else if (oldest.request.complete) socket.setTimeout(idleMs)
      else {
        answerBare(failure('request-timeout', {}), socket, stamp())
        socket.destroySoon()
      }
    })
  }

  /** Closes connections on which nothing was ever asked; node:http waits for a first request on them. */
  closeUnused(): void {
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
  }

  /** Resolves when all that is under way at this moment is answered, or nobody is there any more to be answered. */
  async answered(): Promise<void> {
    const open = [...this.#sockets].flatMap((socket) => this.#open.get(socket)?.filter(isUnderWay) ?? [])
    await Promise.all(open.map(closed))
  }
}

/** Answers end in order, but where one was given up. */
function dropFinished(open: Exchange[]): void {
  let left = 0
  for (const exchange of open)
    if (isUnderWay(exchange)) {
      open[left] = exchange
      left += 1
    }
  open.length = left
}

function isUnderWay({ response }: Exchange): boolean {
  return !response.writableFinished && !response.destroyed
}

/** Resolves when nothing more comes of it, be it whole or broken. */
async function closed({ response }: Exchange): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  response.once('close', resolve)
  await promise
}
