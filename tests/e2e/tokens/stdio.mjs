// A request of JSON on stdin, an answer of JSON on stdout; what is wrong with the request goes to stderr with exit status 2.
export async function readRequest() {
  const pieces = []
  for await (const piece of process.stdin) {
    pieces.push(piece)
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'))
  } catch (error) {
    process.stderr.write(`The request is not JSON: ${error.message}\n`)
    process.exit(2)
  }
}

export function answer(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}
