# bunny against a broker: bunny.rb HOST PORT PREFIX. Prints "ok NAME" for each thing that was as it should be.

require "bunny"
require "timeout"

HOST, PORT, PREFIX = ARGV
SECONDS = 15

def check(good, what)
  raise "not so: #{what}" unless good
end

def connect(**options)
  connection = Bunny.new(host: HOST, port: PORT.to_i, recover_from_connection_close: false, automatically_recover: false, **options)
  connection.start
end

def wait_for(what)
  Timeout.timeout(SECONDS, nil, "#{what}: not within #{SECONDS} s") do
    until (value = yield)
      sleep 0.02
    end
    value
  end
end

def pop(queue, **options)
  wait_for("a message in #{queue.name}") do
    got = queue.pop(**options)
    got[0] && got
  end
end

# The block closes its channel with this code and text; the connection stays.
def check_closes(connection, error, words)
  channel = connection.create_channel
  begin
    yield channel
  rescue error => e
    check(e.message == words, "#{e.message} instead of #{words}")
    return
  end
  raise "not so: #{words} was to come"
end

def confirms(connection)
  channel = connection.create_channel
  channel.confirm_select
  queue = channel.queue("#{PREFIX}-confirms")
  100.times { |number| queue.publish(number.to_s) }
  check(channel.wait_for_confirms, "all are confirmed")
  check(queue.message_count == 100, "all are there")
  returned = []
  exchange = channel.default_exchange
  exchange.on_return { |info, properties, body| returned << [info.reply_code, properties.message_id, body] }
  exchange.publish("back", routing_key: "#{PREFIX}-nowhere", mandatory: true, message_id: "m")
  check(channel.wait_for_confirms, "what comes back is confirmed")
  wait_for("it comes back") { returned == [[312, "m", "back"]] }
  queue.delete
  puts "ok confirms_and_returns"
end

def consume(connection)
  channel = connection.create_channel
  channel.prefetch(2)
  queue = channel.queue("#{PREFIX}-consume", durable: true)
  (1..5).each { |number| queue.publish(number.to_s, persistent: true) }
  got = []
  consumer = queue.subscribe(manual_ack: true) { |info, _, body| got << [info.delivery_tag, info.redelivered?, body] }
  wait_for("two messages") { got.length == 2 }
  sleep 0.3
  check(got == [[1, false, "1"], [2, false, "2"]], "no more than two: #{got}")
  channel.nack(2, false, true)
  wait_for("the second again") { got.length == 3 }
  check(got[2] == [3, true, "2"], "it comes back to its place: #{got}")
  channel.ack(3, true)
  wait_for("two more") { got.length == 5 }
  consumer.cancel
  channel.reject(4, true)
  channel.reject(5, true)
  check(pop(queue)[2] == "3", "what went back")
  queue.delete
  channel.close
  puts "ok consume_ack_nack"
end

def routing(connection)
  channel = connection.create_channel
  topic = channel.topic("#{PREFIX}-topic", auto_delete: true)
  fanout = channel.fanout("#{PREFIX}-fanout", auto_delete: true)
  queue = channel.queue("", exclusive: true)
  check(queue.name.start_with?("amq.gen-"), "a name of the server's")
  fanout.bind(topic, routing_key: "a.#")
  queue.bind(fanout)
  topic.publish("1", routing_key: "a.b.c")
  topic.publish("2", routing_key: "b")
  check(pop(queue)[2] == "1", "by both exchanges")
  headers = channel.headers("#{PREFIX}-headers")
  queue.bind(headers, arguments: { "x-match" => "any", "a" => 1, "b" => 2 })
  headers.publish("3", headers: { "b" => 2 })
  check(pop(queue)[2] == "3", "by its headers")
  check(queue.message_count == 0, "nothing else")
  headers.delete
  channel.close
  puts "ok routing"
end

def properties(connection)
  channel = connection.create_channel
  queue = channel.queue("", exclusive: true)
  headers = { "s" => "text", "i" => 7, "n" => -(1 << 40), "f" => 0.5, "t" => true, "z" => nil, "l" => [1, "two", { "three" => 3 }],
              "h" => { "deep" => { "deeper" => [2] } }, "time" => Time.at(1_900_000_000) }
  queue.publish("", headers: headers, content_type: "a/b", content_encoding: "utf-8", priority: 4, correlation_id: "c", reply_to: "r",
                    message_id: "m", timestamp: 1_900_000_001, type: "t", app_id: "a", user_id: "guest", persistent: true)
  _, got, body = pop(queue)
  check(body == "", "an empty body")
  check(got.headers == headers, "the headers: #{got.headers}")
  check([got.content_type, got.content_encoding, got.priority, got.correlation_id, got.reply_to, got.message_id, got.timestamp.to_i,
         got.type, got.app_id, got.user_id, got.delivery_mode] ==
        ["a/b", "utf-8", 4, "c", "r", "m", 1_900_000_001, "t", "a", "guest", 2], "the properties: #{got}")
  big = Random.new(1).bytes(1 << 20)
  queue.publish(big)
  check(pop(queue)[2] == big, "a body in many frames")
  channel.close
  puts "ok properties_and_bodies"
end

def dead_letters(connection)
  channel = connection.create_channel
  dead = channel.queue("#{PREFIX}-dead", arguments: { "x-max-priority" => 5 })
  queue = channel.queue("#{PREFIX}-work", arguments: { "x-dead-letter-exchange" => "", "x-dead-letter-routing-key" => dead.name })
  queue.publish("rejected")
  info, = pop(queue, manual_ack: true)
  channel.reject(info.delivery_tag)
  _, got, = pop(dead)
  death = got.headers["x-death"][0]
  check([death["reason"], death["queue"], death["count"]] == ["rejected", queue.name, 1], "x-death: #{death}")
  queue.publish("expired", expiration: "100")
  check(pop(dead)[1].headers["x-death"][0]["reason"] == "expired", "expired")
  [1, 5, 3].each { |priority| dead.publish(priority.to_s, priority: priority) }
  check((1..3).map { pop(dead)[2] } == %w[5 3 1], "priorities")
  [queue, dead].each(&:delete)
  channel.close
  puts "ok dead_letters_and_priorities"
end

def transactions(connection)
  channel = connection.create_channel
  queue = channel.queue("#{PREFIX}-tx")
  channel.tx_select
  queue.publish("1")
  check(queue.message_count == 0, "not before the commit")
  channel.tx_commit
  queue.publish("2")
  channel.tx_rollback
  check(queue.message_count == 1, "what was committed, and no more")
  queue.delete
  channel.close
  puts "ok transactions"
end

def cancelled(connection)
  channel = connection.create_channel
  queue = channel.queue("#{PREFIX}-cancelled")
  told = []
  consumer = Bunny::Consumer.new(channel, queue)
  consumer.on_cancellation { told << true }
  queue.subscribe_with(consumer)
  connection.create_channel.queue_delete(queue.name)
  wait_for("the consumer is told") { told.any? }
  channel.close
  puts "ok cancel_notification"
end

def replies(connection)
  channel = connection.create_channel
  queue = channel.queue("#{PREFIX}-rpc")
  queue.subscribe { |_, properties, body| channel.default_exchange.publish(body.reverse, routing_key: properties.reply_to) }
  got = []
  asking = connection.create_channel
  asking.queue("amq.rabbitmq.reply-to", no_declare: true).subscribe { |_, _, body| got << body }
  asking.default_exchange.publish("stressed", routing_key: queue.name, reply_to: "amq.rabbitmq.reply-to")
  wait_for("the answer") { got == ["desserts"] }
  queue.delete
  puts "ok direct_reply_to"
end

def errors(connection)
  nowhere = "#{PREFIX}-nowhere"
  check_closes(connection, Bunny::NotFound, "NOT_FOUND - no queue '#{nowhere}' in vhost '/'") { |c| c.queue(nowhere, passive: true) }
  check_closes(connection, Bunny::AccessRefused, "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'") do |c|
    c.direct("amq.mine")
  end
  queue = connection.create_channel.queue("#{PREFIX}-errors")
  check_closes(connection, Bunny::PreconditionFailed, "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue " \
               "'#{queue.name}' in vhost '/': received 'true' but current is 'false'") { |c| c.queue(queue.name, auto_delete: true) }
  queue.delete
  begin
    connect(vhost: "#{PREFIX}-vhost")
  rescue Bunny::NotAllowedError, Bunny::AuthenticationFailureError, Bunny::TCPConnectionFailedForAllHosts, Bunny::PossibleAuthenticationFailureError
    puts "ok errors"
    return
  end
  raise "not so: a virtual host that is not there was opened"
end

def bad_password
  connect(pass: "wrong", log_level: :fatal)
rescue Bunny::AuthenticationFailureError
  puts "ok login_refused"
else
  raise "not so: a wrong password was taken"
end

connection = connect(heartbeat: 1)
check(connection.server_properties["capabilities"]["publisher_confirms"], "capabilities")
[:confirms, :consume, :routing, :properties, :dead_letters, :transactions, :cancelled, :replies, :errors].each do |test|
  send(test, connection)
end
bad_password
sleep 3
check(connection.open?, "it is open after three seconds of heartbeats")
connection.close
puts "ok heartbeats"
