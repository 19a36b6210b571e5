import com.jcraft.jsch.HostKey;
import com.jcraft.jsch.JSch;
import com.jcraft.jsch.Logger;
import com.jcraft.jsch.Session;

/** A client of JSch, which tells what it logs: Jsch client PORT KEY. */
class Jsch {
    public static void main(String[] arguments) throws Exception {
        JSch.setLogger(new Logger() {
            public boolean isEnabled(int level) { return true; }

            public void log(int level, String message) { System.out.println(message); }
        });
        JSch jsch = new JSch();
        jsch.addIdentity(arguments[2]);
        Session session = jsch.getSession("root", "127.0.0.1", Integer.parseInt(arguments[1]));
        session.setConfig("StrictHostKeyChecking", "no");
        session.setConfig("FingerprintHash", "sha256");
        session.connect(5000);
        HostKey key = session.getHostKey();
        System.out.println("Client version: " + session.getClientVersion());
        System.out.println("Server version: " + session.getServerVersion());
        System.out.println("Fingerprint: " + key.getFingerPrint(jsch));
        session.disconnect();
    }
}
