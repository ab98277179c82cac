from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("guestbook", "0002_demo_user")]
    operations = [
        migrations.CreateModel(
            name="Payment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reference", models.CharField(max_length=64, unique=True)),
                ("cents", models.PositiveIntegerField()),
                ("written", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ["-written", "-id"]},
        ),
    ]
