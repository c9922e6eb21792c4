/**
 * Writes for HAProxy 2.2 and newer: replicas behind it, in two tiers (PROTOCOL §12).
 *
 * Replicas that are `/readyz` take the requests, and when none is, those that are still `/servez` do. They
 * are the same servers, listed twice; the backend `lax` takes no requests, it only checks.
 */

export interface HaproxyWish {
  /** `host:port`, as all addresses here. */
  readonly listen: string
  readonly replicas: readonly string[]
}

const PASSIVE = 'observe layer4 error-limit 1 on-error mark-down'

export function haproxyConfig({ listen, replicas }: HaproxyWish): string {
  const servers = (write: (name: string, address: string) => string): string =>
    replicas.map((address, at) => `  server ${write(`r${at + 1}`, address)}`).join('\n')
  return `# Depot behind HAProxy 2.2 or newer. Made by: depot lb-config haproxy
#
# What it gives:
# - A replica that is not ready (/readyz) gets no requests; when none is, those that can still serve (/servez) do.
# - GET and HEAD that meet a refusal (503), a dead or a restarted replica are asked again, of another replica.
# - What changes something is sent once. It goes elsewhere only when no connection was made, so nothing was sent.
# What it does not give:
# - An answer that breaks off in its middle stays broken: clients go on with Range, on any replica.
# - No TLS and no cache. Names of replicas are looked up once, when it starts.
#
# Set trust_proxy of the depots to the address of this machine, so that limits count clients and not the balancer.
# Check it with: haproxy -c -f <this file>

global
  log stderr format raw daemon notice

defaults
  mode http
  log global
  option forwardfor
  timeout connect 2s
  timeout client 60s
  # Longer than a depot holds a request (10 s) or lets a client wait for the next head (25 s).
  timeout server 30s
  # A busy replica may need longer than the pause between two checks.
  timeout check 1s
  timeout http-request 10s
  timeout http-keep-alive 60s
  retries 2
  # Without it the same replica would be asked again.
  option redispatch 1
  retry-on conn-failure empty-response 503

frontend clients
  bind ${listen}
  default_backend depot

backend depot
  balance roundrobin
  # Or a POST would be sent twice.
  http-request disable-l7-retry if !METH_GET
  option httpchk
  http-check send meth GET uri /readyz
  option allbackups
  # No "observe layer7": a 503 here is about one request, not about the replica. A connection that was refused is about
  # the replica: it is out at once, or a request could meet two dead ones in turn until checks have noticed.
${servers((name, address) => `${name} ${address} check inter 500ms fall 2 rise 2 ${PASSIVE}`)}
  # The second tier.
${servers((name, address) => `${name}b ${address} backup track lax/${name}`)}

backend lax
  option httpchk
  http-check send meth GET uri /servez
${servers((name, address) => `${name} ${address} check inter 1s fall 3`)}
`
}
