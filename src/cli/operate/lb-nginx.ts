/**
 * Writes for nginx 1.19.10 and newer: replicas behind it, and a cache for what never changes (PROTOCOL §7 and §12).
 *
 * The key of the cache is the request as it came: `$uri` would drop `?since=`, and would make one of `%2F` and `/`.
 */

export interface NginxWish {
  /** `host:port`, as all addresses here. */
  readonly listen: string
  readonly replicas: readonly string[]
  readonly cacheDir: string
}

export function nginxConfig({ listen, replicas, cacheDir }: NginxWish): string {
  return `${PREAMBLE}
http {
  access_log off;
  server_tokens off;
  # The bytes are what their digest says, so nothing here may change them.
  gzip off;

  proxy_cache_path ${cacheDir} levels=1:2 keys_zone=depot_objects:20m max_size=20g inactive=30d use_temp_path=off;

  upstream depot {
    zone depot 64k;
    # max_fails=0: a 503 is about one request; counting them would put out one replica after the other.
${replicas.map((address) => `    server ${address} max_fails=0;`).join('\n')}
    keepalive 32;
    keepalive_timeout 60s;
  }

  server {
    listen ${listen};
${SERVER}  }
}
`
}

const PREAMBLE = `# Depot behind nginx 1.19.10 or newer. Made by: depot lb-config nginx
#
# What it gives:
# - Only /g/ and /o/ are cached, which never change, and never what was asked with a token.
# - A request that meets a refusal (503), a dead or a restarted replica is asked again, of another replica. POST and
#   PATCH are not, once they were sent; PUT and DELETE may be, which do the same when done twice.
# What it does not give:
# - nginx without Plus asks no replica whether it is ready: one that was cut off from the origin goes on getting
#   requests. Run the replicas strict (when_cut = "refuse"), so that such a one refuses what it cannot know. For two
#   tiers take HAProxy.
# - An answer that breaks off in its middle stays broken: clients go on with Range, on any replica.
# - No TLS. Names of replicas are looked up once, when it starts.
#
# Set trust_proxy of the depots to the address of this machine, so that limits count clients and not the balancer.
# Check it with: nginx -t -c <this file>

worker_processes auto;
worker_rlimit_nofile 16384;

events {
  worker_connections 8192;
}
`

const SERVER = `    # Uploads go through as they come, and whole answers do not wait on this disk.
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    large_client_header_buffers 4 16k;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_connect_timeout 2s;
    # Longer than a depot holds a request (10 s) or lets a client wait for the next head (25 s).
    proxy_read_timeout 30s;
    # No "non_idempotent", or a POST would be sent twice.
    proxy_next_upstream error timeout http_503;
    proxy_next_upstream_tries 3;
    proxy_next_upstream_timeout 15s;

    location ~ ^/(g|o)/ {
      proxy_pass http://depot;
      proxy_cache depot_objects;
      proxy_cache_key $request_uri;
      # With one of these the answer depends on more than the URL.
      set $personal "$http_authorization$http_depot_preview$http_depot_min_generation$http_depot_exact_generation$http_depot_form";
      proxy_cache_bypass $personal;
      proxy_no_cache $personal;
      proxy_cache_use_stale error timeout updating http_503;
      # A download that goes on far behind the start is passed on; else all before it would be fetched first.
      proxy_cache_max_range_offset 1m;
    }

    location / {
      proxy_pass http://depot;
      proxy_cache off;
    }
`
