// The Java client against a broker: JavaClient HOST PORT PREFIX. Prints "ok NAME" for each thing that was as it should be.

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.BuiltinExchangeType;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.ShutdownSignalException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public final class JavaClient {
    private static final int SECONDS = 15;
    private static String prefix;

    private interface Call {
        void run(Channel channel) throws Exception;
    }

    private static final class Message {
        final Envelope envelope;
        final AMQP.BasicProperties properties;
        final byte[] body;

        Message(Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
            this.envelope = envelope;
            this.properties = properties;
            this.body = body;
        }
    }

    /** Keeps what comes; null stands for a cancellation. */
    private static final class Kept extends DefaultConsumer {
        final BlockingQueue<Object> events = new LinkedBlockingQueue<>();

        Kept(Channel channel) {
            super(channel);
        }

        @Override
        public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
            events.add(new Message(envelope, properties, body));
        }

        @Override
        public void handleCancel(String tag) {
            events.add("cancelled");
        }

        Message next() throws Exception {
            Object event = events.poll(SECONDS, TimeUnit.SECONDS);
            check(event instanceof Message, "a message was to come, not " + event);
            return (Message) event;
        }
    }

    private static void check(boolean good, String what) {
        if (!good) {
            throw new IllegalStateException("not so: " + what);
        }
    }

    private static void same(Object got, Object wanted) {
        check(wanted.equals(got), got + " instead of " + wanted);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] body) {
        return new String(body, StandardCharsets.UTF_8);
    }

    private static GetResponse pop(Channel channel, String queue, boolean autoAck) throws Exception {
        for (long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);;) {
            GetResponse got = channel.basicGet(queue, autoAck);
            if (got != null) {
                return got;
            }
            check(System.nanoTime() < end, "no message in " + queue + " within " + SECONDS + " s");
            Thread.sleep(20);
        }
    }

    private static void closes(Connection connection, int code, String words, Call call) throws Exception {
        Channel channel = connection.createChannel();
        BlockingQueue<ShutdownSignalException> closed = new LinkedBlockingQueue<>();
        channel.addShutdownListener(closed::add);
        try {
            call.run(channel);
        } catch (java.io.IOException | ShutdownSignalException e) {
            // The listener is told why.
        }
        ShutdownSignalException why = closed.poll(SECONDS, TimeUnit.SECONDS);
        check(why != null && why.getReason() instanceof AMQP.Channel.Close, words + " was to come");
        AMQP.Channel.Close close = (AMQP.Channel.Close) why.getReason();
        same(close.getReplyCode() + " " + close.getReplyText(), code + " " + words);
        check(connection.isOpen(), "the connection stays");
    }

    private static void confirms(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = channel.queueDeclare(prefix + "-confirms", true, false, false, null).getQueue();
        channel.confirmSelect();
        for (int i = 0; i < 100; i++) {
            channel.basicPublish("", queue, MessageProperties.PERSISTENT_TEXT_PLAIN, bytes("" + i));
        }
        channel.waitForConfirmsOrDie(SECONDS * 1000);
        same(channel.messageCount(queue), 100L);
        BlockingQueue<String> returned = new LinkedBlockingQueue<>();
        channel.addReturnListener((code, words, exchange, key, properties, body) ->
            returned.add(code + " " + words + " " + key + " " + text(body)));
        channel.basicPublish("", prefix + "-nowhere", true, null, bytes("back"));
        channel.waitForConfirmsOrDie(SECONDS * 1000);
        same(returned.poll(SECONDS, TimeUnit.SECONDS), "312 NO_ROUTE " + prefix + "-nowhere back");
        same(channel.queuePurge(queue).getMessageCount(), 100);
        channel.queueDelete(queue);
        channel.close();
    }

    private static void consume(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = channel.queueDeclare(prefix + "-consume", false, false, false, null).getQueue();
        for (String body : Arrays.asList("1", "2", "3")) {
            channel.basicPublish("", queue, null, bytes(body));
        }
        channel.basicQos(2);
        Kept kept = new Kept(channel);
        String tag = channel.basicConsume(queue, kept);
        same(text(kept.next().body), "1");
        same(text(kept.next().body), "2");
        check(kept.events.poll(300, TimeUnit.MILLISECONDS) == null, "no more than two");
        channel.basicNack(1, false, true);
        Message again = kept.next();
        same(text(again.body) + again.envelope.isRedeliver(), "1true");
        channel.basicAck(3, true);
        same(text(kept.next().body), "3");
        channel.basicCancel(tag);
        channel.basicReject(4, true);
        GetResponse last = pop(channel, queue, true);
        same(text(last.getBody()) + last.getEnvelope().isRedeliver() + last.getMessageCount(), "3true0");
        channel.queueDelete(queue);
        channel.close();
    }

    private static void routing(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String topic = prefix + "-topic";
        String headers = prefix + "-headers";
        channel.exchangeDeclare(topic, BuiltinExchangeType.TOPIC, false, true, null);
        channel.exchangeDeclare(headers, BuiltinExchangeType.HEADERS);
        String queue = channel.queueDeclare().getQueue();
        channel.queueBind(queue, topic, "a.*");
        Map<String, Object> all = new HashMap<>();
        all.put("x-match", "all");
        all.put("a", 1);
        all.put("b", "x");
        channel.queueBind(queue, headers, "", all);
        channel.exchangeBind(headers, topic, "to.headers");
        Map<String, Object> sent = new HashMap<>();
        sent.put("a", 1L);
        sent.put("b", "x");
        channel.basicPublish(topic, "a.b", null, bytes("1"));
        channel.basicPublish(topic, "a.b.c", null, bytes("no"));
        channel.basicPublish(topic, "to.headers", new AMQP.BasicProperties.Builder().headers(sent).build(), bytes("2"));
        same(text(pop(channel, queue, true).getBody()), "1");
        same(text(pop(channel, queue, true).getBody()), "2");
        check(channel.basicGet(queue, true) == null, "nothing else");
        channel.exchangeUnbind(headers, topic, "to.headers");
        channel.queueUnbind(queue, topic, "a.*");
        channel.exchangeDelete(headers);
        channel.close();
    }

    private static void properties(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = channel.queueDeclare().getQueue();
        Map<String, Object> headers = new HashMap<>();
        headers.put("int", 7);
        headers.put("long", -5000000000L);
        headers.put("short", (short) -300);
        headers.put("byte", (byte) -5);
        headers.put("float", 0.5f);
        headers.put("double", 0.1);
        headers.put("decimal", new java.math.BigDecimal("3.14"));
        headers.put("yes", true);
        headers.put("nothing", null);
        headers.put("time", new Date(1900000000000L));
        Map<String, Object> deep = new HashMap<>();
        deep.put("list", new ArrayList<Object>(Arrays.asList(1, true, new ArrayList<Object>(Arrays.asList(2L)))));
        headers.put("table", deep);
        AMQP.BasicProperties given = new AMQP.BasicProperties("a/b", "utf-8", headers, 2, 4, "c", "r", "60000", "m",
            new Date(1900000001000L), "t", "guest", "a", "cl");
        channel.basicPublish("", queue, given, new byte[0]);
        GetResponse got = pop(channel, queue, true);
        same(got.getBody().length, 0);
        same(got.getProps().toString(), given.toString()); // Texts come back as another class.
        byte[] big = new byte[1 << 20];
        new java.util.Random(1).nextBytes(big);
        channel.basicPublish("", queue, null, big);
        check(Arrays.equals(pop(channel, queue, true).getBody(), big), "a body in many frames");
        channel.close();
    }

    private static void deadLetters(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        Map<String, Object> priorities = new HashMap<>();
        priorities.put("x-max-priority", 5);
        String dead = channel.queueDeclare(prefix + "-dead", true, false, false, priorities).getQueue();
        Map<String, Object> options = new HashMap<>();
        options.put("x-dead-letter-exchange", "");
        options.put("x-dead-letter-routing-key", dead);
        String work = channel.queueDeclare(prefix + "-work", true, false, false, options).getQueue();
        channel.basicPublish("", work, null, bytes("x"));
        channel.basicReject(pop(channel, work, false).getEnvelope().getDeliveryTag(), false);
        Map<?, ?> death = (Map<?, ?>) ((List<?>) pop(channel, dead, true).getProps().getHeaders().get("x-death")).get(0);
        same(death.get("reason") + " " + death.get("queue") + " " + death.get("count"), "rejected " + work + " 1");
        channel.basicPublish("", work, new AMQP.BasicProperties.Builder().expiration("100").build(), bytes("x"));
        death = (Map<?, ?>) ((List<?>) pop(channel, dead, true).getProps().getHeaders().get("x-death")).get(0);
        same(death.get("reason") + " " + death.get("original-expiration"), "expired 100");
        for (int priority : new int[] {1, 5, 3}) {
            channel.basicPublish("", dead, new AMQP.BasicProperties.Builder().priority(priority).build(), bytes("" + priority));
        }
        for (String body : Arrays.asList("5", "3", "1")) {
            same(text(pop(channel, dead, true).getBody()), body);
        }
        channel.queueDelete(work);
        channel.queueDelete(dead);
        channel.close();
    }

    private static void transactions(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = channel.queueDeclare().getQueue();
        channel.txSelect();
        channel.basicPublish("", queue, null, bytes("1"));
        same(channel.messageCount(queue), 0L);
        channel.txCommit();
        channel.basicPublish("", queue, null, bytes("2"));
        channel.txRollback();
        same(channel.messageCount(queue), 1L);
        channel.close();
    }

    private static void cancelled(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = channel.queueDeclare(prefix + "-cancelled", false, false, false, null).getQueue();
        Kept kept = new Kept(channel);
        channel.basicConsume(queue, kept);
        connection.createChannel().queueDelete(queue);
        same(kept.events.poll(SECONDS, TimeUnit.SECONDS), "cancelled");
        channel.close();
    }

    private static void replies(Connection connection) throws Exception {
        Channel asking = connection.createChannel();
        Channel answering = connection.createChannel();
        String queue = answering.queueDeclare().getQueue();
        Kept kept = new Kept(asking);
        asking.basicConsume("amq.rabbitmq.reply-to", true, kept);
        asking.basicPublish("", queue, new AMQP.BasicProperties.Builder().replyTo("amq.rabbitmq.reply-to").correlationId("c").build(),
            bytes("question"));
        GetResponse question = pop(answering, queue, true);
        answering.basicPublish("", question.getProps().getReplyTo(),
            new AMQP.BasicProperties.Builder().correlationId(question.getProps().getCorrelationId()).build(), bytes("answer"));
        Message answer = kept.next();
        same(text(answer.body) + answer.properties.getCorrelationId(), "answerc");
    }

    private static void errors(Connection connection) throws Exception {
        String nowhere = prefix + "-nowhere";
        closes(connection, 404, "NOT_FOUND - no queue '" + nowhere + "' in vhost '/'", c -> c.queueDeclarePassive(nowhere));
        closes(connection, 404, "NOT_FOUND - no exchange '" + nowhere + "' in vhost '/'", c -> c.basicPublish(nowhere, "", null, bytes("")));
        closes(connection, 403, "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
            c -> c.queueDeclare("amq.mine", false, false, false, null));
        closes(connection, 406, "PRECONDITION_FAILED - unknown delivery tag 7", c -> c.basicAck(7, false));
        Channel channel = connection.createChannel();
        String queue = channel.queueDeclare(prefix + "-errors", false, true, false, null).getQueue();
        closes(connection, 406, "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '" + queue
            + "' in vhost '/': received 'true' but current is 'false'", c -> c.queueDeclare(queue, false, true, true, null));
    }

    private static void refused(ConnectionFactory factory, String user, String vhost) throws Exception {
        factory.setUsername(user);
        factory.setVirtualHost(vhost);
        try {
            factory.newConnection().close();
        } catch (com.rabbitmq.client.AuthenticationFailureException e) {
            check(e.getMessage().contains("ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN"), e.getMessage());
            return;
        } catch (java.io.IOException e) {
            check(("" + e.getCause()).contains("vhost " + vhost + " not found"), "" + e.getCause());
            return;
        }
        throw new IllegalStateException("not so: " + user + " was let in to " + vhost);
    }

    public static void main(String[] args) {
        try {
            run(args);
            System.exit(0);
        } catch (Throwable e) {
            e.printStackTrace(System.out);
            System.exit(1); // Else the threads of the client would go on.
        }
    }

    private static void run(String[] args) throws Exception {
        prefix = args[2];
        ConnectionFactory factory = new ConnectionFactory();
        factory.setHost(args[0]);
        factory.setPort(Integer.parseInt(args[1]));
        factory.setRequestedHeartbeat(1);
        factory.setAutomaticRecoveryEnabled(false);
        Connection connection = factory.newConnection();
        Map<String, Call> tests = new java.util.LinkedHashMap<>();
        tests.put("confirms_and_returns", c -> confirms(connection));
        tests.put("consume_ack_nack", c -> consume(connection));
        tests.put("routing", c -> routing(connection));
        tests.put("properties_and_bodies", c -> properties(connection));
        tests.put("dead_letters_and_priorities", c -> deadLetters(connection));
        tests.put("transactions", c -> transactions(connection));
        tests.put("cancel_notification", c -> cancelled(connection));
        tests.put("direct_reply_to", c -> replies(connection));
        tests.put("errors", c -> errors(connection));
        for (Map.Entry<String, Call> test : tests.entrySet()) {
            test.getValue().run(null);
            System.out.println("ok " + test.getKey());
        }
        Thread.sleep(3000);
        check(connection.isOpen(), "open after three seconds of heartbeats");
        connection.close();
        System.out.println("ok heartbeats");
        refused(factory, "nobody", "/");
        refused(factory, "guest", prefix + "-vhost");
        System.out.println("ok login_refused");
    }
}
