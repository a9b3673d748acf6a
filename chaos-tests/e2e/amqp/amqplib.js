// amqplib against a broker: amqplib.js URL PREFIX. Prints "ok NAME" for each thing that was as it should be.

'use strict'
const amqplib = require('amqplib')
const assert = require('assert')
const { once } = require('events')

const [url, prefix] = process.argv.slice(2)
const SECONDS = 15
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function waitFor (what, condition) {
  for (const end = Date.now() + SECONDS * 1000; ;) {
    const value = await condition()
    if (value) return value
    assert(Date.now() < end, `${what}: not within ${SECONDS} s`)
    await sleep(20)
  }
}

const pop = (channel, queue, options) => waitFor(`a message in ${queue}`, () => channel.get(queue, options))

// The call closes its channel with this code and text; the connection stays.
async function assertCloses (connection, code, words, call) {
  const channel = await connection.createChannel()
  const closed = once(channel, 'error')
  await Promise.allSettled([call(channel)])
  const [error] = await closed
  assert.strictEqual(error.code, code)
  assert(error.message.includes(words), `${error.message} instead of ${words}`)
}

async function confirms (connection) {
  const channel = await connection.createConfirmChannel()
  const queue = `${prefix}-confirms`
  await channel.assertQueue(queue)
  for (let i = 0; i < 100; i++) channel.sendToQueue(queue, Buffer.from(String(i)), { persistent: true })
  await channel.waitForConfirms()
  assert.strictEqual((await channel.checkQueue(queue)).messageCount, 100)
  const order = []
  channel.on('return', (message) => order.push(`return ${message.fields.replyCode} ${message.content} ${message.properties.messageId}`))
  await new Promise((resolve, reject) => channel.publish('', `${prefix}-nowhere`, Buffer.from('back'), { mandatory: true, messageId: 'm' },
    (error) => { order.push('ack'); error ? reject(error) : resolve() }))
  assert.deepStrictEqual(order, ['return 312 back m', 'ack'])
  assert.strictEqual((await channel.purgeQueue(queue)).messageCount, 100)
  await channel.deleteQueue(queue)
}

async function consume (connection) {
  const channel = await connection.createChannel()
  const { queue } = await channel.assertQueue(`${prefix}-consume`)
  await channel.prefetch(2)
  for (const body of ['1', '2', '3']) channel.sendToQueue(queue, Buffer.from(body))
  const got = []
  const { consumerTag } = await channel.consume(queue, (message) => got.push(message))
  await waitFor('two messages', () => got.length === 2)
  channel.nack(got[0])
  await waitFor('the first again', () => got.length === 3)
  assert.deepStrictEqual(got.map((m) => [m.content.toString(), m.fields.redelivered]), [['1', false], ['2', false], ['1', true]])
  channel.ack(got[1])
  channel.ack(got[2])
  await waitFor('the third', () => got.length === 4)
  await channel.cancel(consumerTag)
  channel.reject(got[3], true)
  const last = await pop(channel, queue)
  assert.deepStrictEqual([last.content.toString(), last.fields.redelivered], ['3', true])
  channel.ackAll()
  await channel.deleteQueue(queue)
  await channel.close()
}

async function routing (connection) {
  const channel = await connection.createChannel()
  const topic = `${prefix}-topic`
  const headers = `${prefix}-headers`
  await channel.assertExchange(topic, 'topic', { autoDelete: true, durable: false })
  await channel.assertExchange(headers, 'headers')
  const { queue } = await channel.assertQueue('', { exclusive: true })
  await channel.bindQueue(queue, topic, 'a.*')
  await channel.bindQueue(queue, headers, '', { 'x-match': 'all', a: 1, b: 'x' })
  await channel.bindExchange(headers, topic, 'to.headers')
  channel.publish(topic, 'a.b', Buffer.from('1'))
  channel.publish(topic, 'a.b.c', Buffer.from('no'))
  channel.publish(topic, 'to.headers', Buffer.from('2'), { headers: { a: 1, b: 'x', c: 3 } })
  channel.publish(headers, '', Buffer.from('no'), { headers: { a: 1 } })
  assert.strictEqual((await pop(channel, queue, { noAck: true })).content.toString(), '1')
  assert.strictEqual((await pop(channel, queue, { noAck: true })).content.toString(), '2')
  assert.strictEqual(await channel.get(queue), false)
  await channel.deleteExchange(headers)
  await channel.close()
}

async function properties (connection) {
  const channel = await connection.createChannel()
  const { queue } = await channel.assertQueue('', { exclusive: true })
  const headers = { text: 'Größe', int: 7, negative: -5000000000, float: 0.1, yes: true, nothing: null, list: [1, 'two', [3], { four: 4 }],
    table: { deep: { deeper: [false] } }, bytes: Buffer.from([255, 0, 254]), time: { '!': 'timestamp', value: 1900000000 } }
  channel.sendToQueue(queue, Buffer.alloc(0), { headers, contentType: 'a/b', contentEncoding: 'utf-8', priority: 4, correlationId: 'c',
    replyTo: 'r', messageId: 'm', timestamp: 1900000001, type: 't', appId: 'a', userId: 'guest', persistent: true, expiration: 60000 })
  const message = await pop(channel, queue, { noAck: true })
  assert.strictEqual(message.content.length, 0)
  assert.deepStrictEqual(message.properties.headers, headers)
  delete message.properties.headers
  assert.deepStrictEqual(message.properties, { contentType: 'a/b', contentEncoding: 'utf-8', deliveryMode: 2, priority: 4,
    correlationId: 'c', replyTo: 'r', expiration: '60000', messageId: 'm', timestamp: 1900000001, type: 't', userId: 'guest', appId: 'a',
    clusterId: undefined })
  const big = Buffer.alloc(1 << 20, 'abcdefg')
  channel.sendToQueue(queue, big)
  assert((await pop(channel, queue, { noAck: true })).content.equals(big))
  await channel.close()
}

async function deadLetters (connection) {
  const channel = await connection.createChannel()
  const dead = `${prefix}-dead`
  const work = `${prefix}-work`
  await channel.assertQueue(dead, { maxPriority: 5 })
  await channel.assertQueue(work, { deadLetterExchange: '', deadLetterRoutingKey: dead, messageTtl: 60000, maxLength: 100 })
  channel.sendToQueue(work, Buffer.from('x'))
  channel.reject(await pop(channel, work), false)
  let { properties } = await pop(channel, dead, { noAck: true })
  const [death] = properties.headers['x-death']
  assert.deepStrictEqual([death.reason, death.queue, death.count, death['routing-keys']], ['rejected', work, 1, [work]])
  channel.sendToQueue(work, Buffer.from('x'), { expiration: '100' });
  ({ properties } = await pop(channel, dead, { noAck: true }))
  assert.strictEqual(properties.headers['x-death'][0].reason, 'expired')
  for (const priority of [1, 5, 3]) channel.sendToQueue(dead, Buffer.from(String(priority)), { priority })
  for (const body of ['5', '3', '1']) assert.strictEqual((await pop(channel, dead, { noAck: true })).content.toString(), body)
  await channel.deleteQueue(dead)
  await channel.deleteQueue(work)
  await channel.close()
}

async function cancelled (connection) {
  const channel = await connection.createChannel()
  const { queue } = await channel.assertQueue(`${prefix}-cancelled`)
  const told = new Promise((resolve) => channel.consume(queue, (message) => message === null && resolve()))
  await channel.checkQueue(queue)
  await (await connection.createChannel()).deleteQueue(queue)
  await told
}

async function replies (connection) {
  const channel = await connection.createChannel()
  const { queue } = await channel.assertQueue(`${prefix}-rpc`)
  await channel.consume(queue, (message) => message && channel.sendToQueue(message.properties.replyTo, Buffer.from('answer'),
    { correlationId: message.properties.correlationId }), { noAck: true })
  const asking = await connection.createChannel()
  const answered = new Promise((resolve) => asking.consume('amq.rabbitmq.reply-to', resolve, { noAck: true }))
  asking.sendToQueue(queue, Buffer.from('question'), { replyTo: 'amq.rabbitmq.reply-to', correlationId: 'c' })
  const message = await answered
  assert.deepStrictEqual([message.content.toString(), message.properties.correlationId], ['answer', 'c'])
  await channel.deleteQueue(queue)
}

async function errors (connection) {
  const nowhere = `${prefix}-nowhere`
  await assertCloses(connection, 404, `NOT_FOUND - no queue '${nowhere}' in vhost '/'`, (channel) => channel.checkQueue(nowhere))
  await assertCloses(connection, 404, `NOT_FOUND - no exchange '${nowhere}' in vhost '/'`, async (channel) => channel.publish(nowhere, '', Buffer.from('')))
  await assertCloses(connection, 403, 'ACCESS_REFUSED', (channel) => channel.assertQueue('amq.mine'))
  await assertCloses(connection, 406, 'PRECONDITION_FAILED - unknown delivery tag 7', async (channel) => channel.ack({ fields: { deliveryTag: 7 } }))
  await assert.rejects(amqplib.connect(`${url.replace(/\/[^/]*$/, '')}/${nowhere}`), /ConnectionClose/)
  await assert.rejects(amqplib.connect(url.replace('guest:guest', 'guest:wrong')), /403|ACCESS_REFUSED|ACCESS-REFUSED/)
}

async function main () {
  const connection = await amqplib.connect(url + '?heartbeat=1')
  const tests = { confirms_and_returns: confirms, consume_ack_nack: consume, routing, properties_and_bodies: properties,
    dead_letters_and_priorities: deadLetters, cancel_notification: cancelled, direct_reply_to: replies, errors }
  for (const [name, test] of Object.entries(tests)) {
    await test(connection)
    console.log(`ok ${name}`)
  }
  let ended = false
  connection.on('close', () => { ended = true })
  await sleep(3000)
  assert(!ended, 'closed in three seconds of heartbeats')
  await connection.close()
  console.log('ok heartbeats')
}

main().catch((error) => {
  console.log(error)
  process.exit(1)
})
