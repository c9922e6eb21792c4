/**
 * A connection on which nothing moves is given up: a body that has stopped to come, an answer that nobody takes, a
 * client that asks for nothing more. Not so while a whole request is here and its answer has not begun: then it is the
 * depot that lets the client wait, and a commit of millions may take its time.
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
  readonly #open = new WeakMap<Socket, readonly Exchange[]>()

  note(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    this.#open.set(socket, [...(this.#open.get(socket)?.filter(isUnderWay) ?? []), { request, response }])
  }

  /** Ends connections on which nothing has moved for `idleMs`. */
  watch(server: Server, idleMs: number, stamp: () => Stamp): void {
    server.timeout = idleMs
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
}

function isUnderWay({ response }: Exchange): boolean {
  return !response.writableFinished
}
