// A SIP party on a WebSocket, of another make than Tandem's: sends the file it is given as one message, pings, and prints
// what happens, a line each. Arguments: URL, file, and for wss the authority, and certificate and key to show.
// "ws" comes with stanza.
import { readFileSync } from 'node:fs'
import WebSocket from 'ws'

const [url, file, ca, cert, key] = process.argv.slice(2)
const read = (path) => path && readFileSync(path)
const socket = new WebSocket(url, ['sip'], { ca: read(ca), cert: read(cert), key: read(key) })
socket.on('open', () => {
  console.log(`websocket-open protocol=${socket.protocol}`)
  socket.send(readFileSync(file, 'utf8'))
  socket.ping()
})
socket.on('message', (data, isBinary) => console.log(`websocket-message binary=${isBinary} ${JSON.stringify(data.toString())}`))
socket.on('pong', () => console.log('websocket-pong'))
socket.on('close', (code) => console.log(`websocket-closed code=${code}`))
socket.on('error', (error) => console.log(`websocket-error ${error.message}`))
