#!/usr/bin/env node
/**
 * The bin. It is written so that even an old Node can read it, for its first task is to say that Node is too old.
 */
/* oxlint-disable -- the CLI's front door, in JavaScript without types and without what an old Node lacks */

// Two LMDB writers, two deflate streams and the syncs of files share the threads of libuv, of which there are 4 by
// default: then one slow disk holds up everything. libuv reads the number when it first needs a thread, so it comes
// before all else.
if (process.env.UV_THREADPOOL_SIZE === undefined) process.env.UV_THREADPOOL_SIZE = '8'

const least = [22, 19]
const found = process.versions.node.split('.').map(Number)

if (found[0] < least[0] || (found[0] === least[0] && found[1] < least[1])) {
  process.stderr.write(
    'depot: Node is too old: depot needs Node ' +
      least.join('.') +
      ' or newer and this is ' +
      process.versions.node +
      '; install a newer one from https://nodejs.org, or in the project folder run npx depot after npm ci\n',
  )
  process.exitCode = 1
} else {
  // The sources run as they are; a build for publishing has JavaScript in their place.
  Promise.all([import('node:fs'), import('node:module'), import('node:url')])
    .then(function ([fs, module, url]) {
      // To read and strip hundreds of files takes longer than most commands. What comes of it is kept among the packages,
      // where whoever can change it could change the program as well.
      const packages = new URL('../../node_modules/', import.meta.url)
      if (process.env.NODE_COMPILE_CACHE === undefined && fs.existsSync(packages))
        module.enableCompileCache(url.fileURLToPath(new URL('.cache/depot/', packages)))
      return fs.existsSync(new URL('./main.ts', import.meta.url)) ? import('./main.ts') : import('./main.js')
    })
    .catch(function (error) {
      if (error.code !== 'ERR_MODULE_NOT_FOUND' || !/^Cannot find package/.test(error.message)) throw error
      process.stderr.write(
        'depot: Packages are missing: depot needs the packages of its package.json, and not all of them are installed (' +
          error.message.split(' imported from ')[0] +
          '); run npm ci in the folder of depot\n',
      )
      process.exitCode = 1
    })
}
